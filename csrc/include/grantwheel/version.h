/* The version of grantwheel, here and nowhere else: the build files and the package read it from this file. A macro
 * only, so there is nothing here that threads could share. */
#ifndef GRANTWHEEL_VERSION_H
#define GRANTWHEEL_VERSION_H

#define GRANTWHEEL_VERSION "0.1.0"

#endif
