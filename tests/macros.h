/* The macros of common headers that have names of one word without a prefix: X.h and Xlib.h, sys/sysmacros.h, what gcc
 * defines for Linux, windows.h and rpcndr.h, Qt, GLib, and in C those of curses.h, which C++ goes without. They stand for
 * what they stand for there, as far as anybody could meet it. */
#ifndef GRANTWHEEL_TESTS_MACROS_H
#define GRANTWHEEL_TESTS_MACROS_H

/* X.h */
#define None 0L
#define ParentRelative 1L
#define CopyFromParent 0L
#define PointerWindow 0L
#define InputFocus 1L
#define AnyPropertyType 0L
#define AnyKey 0L
#define AllTemporary 0L
#define CurrentTime 0L
#define NoSymbol 0L
#define KeyPress 2
#define KeyRelease 3
#define FocusIn 9
#define FocusOut 10
#define Expose 12
#define CreateNotify 16
#define Success 0
#define BadRequest 1
#define BadValue 2
#define BadAlloc 11
#define Unsorted 0
#define Above 0
#define Below 1
#define Always 2
#define Never 0
#define GrayScale 1
#define ControlMask (1 << 2)
#define LockMask (1 << 1)
/* Xlib.h */
#define _X11_XLIB_H_
#define Bool int
#define Status int
#define True 1
#define False 0
#define QueuedAlready 0
#define AllPlanes ((unsigned long)~0L)
/* sys/sysmacros.h, and what the compiler defines with its extensions */
#define major(dev) gnu_dev_major(dev)
#define minor(dev) gnu_dev_minor(dev)
#define makedev(maj, min) gnu_dev_makedev(maj, min)
#undef unix
#define unix 1
#undef linux
#define linux 1
/* windows.h, rpcndr.h, wingdi.h and winerror.h */
#define ERROR 0
#define NO_ERROR 0L
#define IGNORE 0
#define IN
#define OUT
#define OPTIONAL
#define CONST const
#define VOID void
#define DELETE 0x00010000L
#define DIFFERENCE 11
#define ABSOLUTE 1
#define RELATIVE 2
#define near
#define far
#define small char
#define interface struct
#define GetMessage GetMessageA
#define CreateEvent CreateEventA
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
/* Qt and GLib */
#define slots
#define signals public
#define emit
#define foreach(variable, container) for (variable : container)
#define forever for (;;)
#define MIN(a, b) (((a) < (b)) ? (a) : (b))
#define MAX(a, b) (((a) > (b)) ? (a) : (b))
#define ABS(a) (((a) < 0) ? -(a) : (a))
/* curses.h */
#define OK (0)
#define ERR (-1)
#define TRUE 1
#define FALSE 0
#ifndef __cplusplus
#define clear() wclear(stdscr)
#define echochar(c) wechochar(stdscr, c)
#define erase() werase(stdscr)
#define move(y, x) wmove(stdscr, y, x)
#define refresh() wrefresh(stdscr)
#define timeout(delay) wtimeout(stdscr, delay)
#define border(ls, rs) wborder(stdscr, ls, rs)
#define getch() wgetch(stdscr)
#define instr(s) winstr(stdscr, s)
#endif

#endif
