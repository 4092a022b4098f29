// The same host as a program in C++: the header is one of both languages.
#include "capi.c"
