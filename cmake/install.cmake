# Installs the libraries, their headers, and a package for find_package(grantwheel CONFIG): the component development.
# What serves -lgrantwheel, a link and a file for pkg-config, is the component linking: a wheel can hold no links.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/grantwheel")

install(TARGETS grantwheel_core grantwheel_host grantwheel_capi EXPORT grantwheelTargets
        ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development NAMELINK_COMPONENT linking
        INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/csrc/include/grantwheel" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        COMPONENT development FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
install(EXPORT grantwheelTargets NAMESPACE grantwheel:: DESTINATION "${package_dir}" COMPONENT development)

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/grantwheelConfig.cmake.in"
                              "${PROJECT_BINARY_DIR}/grantwheelConfig.cmake" INSTALL_DESTINATION "${package_dir}")
# Before 1.0 a minor version may change the API.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/grantwheelConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/grantwheelConfig.cmake" "${PROJECT_BINARY_DIR}/grantwheelConfigVersion.cmake"
        DESTINATION "${package_dir}" COMPONENT development)

# The paths of the file for pkg-config begin where it lies.
set(pkgconfig_dir "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig")
file(RELATIVE_PATH relative_libdir "${pkgconfig_dir}" "${CMAKE_INSTALL_FULL_LIBDIR}")
file(RELATIVE_PATH relative_includedir "${pkgconfig_dir}" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
configure_file("${PROJECT_SOURCE_DIR}/cmake/grantwheel.pc.in" "${PROJECT_BINARY_DIR}/grantwheel.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/grantwheel.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT linking)
