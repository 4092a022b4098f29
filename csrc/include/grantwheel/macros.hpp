// Takes away the one macro of a common header that has the name of something here; nothing that threads could share.
//
// Xlib.h has `#define Status int`, by which no `grantwheel::Status` could be named. It becomes the type that it stands
// for, so that Xlib's own names go on to mean what they did. Each header here includes this before its names, every
// time, as the macro may have come in between; a program that includes Xlib.h last includes this after it.
#ifdef Status
#undef Status
#if defined(_X11_XLIB_H_) || defined(_XLIB_H_)
typedef int Status;  // NOLINT(modernize-use-using): as Xlib would write it
#endif
#endif
