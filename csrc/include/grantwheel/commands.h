/* The kinds of command as one list: the C++ enum, the constants of the C ABI, the names that Python uses, and the numbers in
 * a log all come from it. Macros only, so there is nothing here that threads could share.
 */
#ifndef GRANTWHEEL_COMMANDS_H
#define GRANTWHEEL_COMMANDS_H

/* X(name, NAME); numbered from 0. Logs have the numbers, so a new one comes last. */
#define GRANTWHEEL_COMMAND_LIST(X)      \
    X(apply, APPLY)                     \
    X(release, RELEASE)                 \
    X(reset_all, RESET_ALL)             \
    X(process_died, PROCESS_DIED)       \
    X(app_stopped, APP_STOPPED)         \
    X(package_removed, PACKAGE_REMOVED) \
    X(admin_reset_all, ADMIN_RESET_ALL) \
    X(admin_reset_app, ADMIN_RESET_APP) \
    X(admin_reset_process, ADMIN_RESET_PROCESS)

#endif
