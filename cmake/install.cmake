# Installs the library, its headers, and a package for find_package(grantwheel CONFIG).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/grantwheel")

install(TARGETS grantwheel_core EXPORT grantwheelTargets
        ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development
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
