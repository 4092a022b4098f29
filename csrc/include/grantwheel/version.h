/* The version of grantwheel. This is the one place where it stands: the build files and the package read it from here. */
#ifndef GRANTWHEEL_VERSION_H
#define GRANTWHEEL_VERSION_H

#define GRANTWHEEL_VERSION "0.1.0"

#endif
