# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Everything is independent of the architecture, so it goes to share/, not to lib/.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_DATAROOTDIR}/cmake/windowkv)
set(generated_dir ${PROJECT_BINARY_DIR}/cmake)

install(TARGETS windowkv EXPORT windowkvTargets FILE_SET HEADERS)
install(EXPORT windowkvTargets NAMESPACE windowkv:: DESTINATION ${package_dir})
# No compatibility between 0.1 and 0.2.
write_basic_package_version_file(${generated_dir}/windowkvConfigVersion.cmake COMPATIBILITY SameMinorVersion
                                 ARCH_INDEPENDENT)
configure_package_config_file(cmake/windowkvConfig.cmake.in ${generated_dir}/windowkvConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
install(FILES ${generated_dir}/windowkvConfig.cmake ${generated_dir}/windowkvConfigVersion.cmake
              cmake/windowkvCuda.cmake DESTINATION ${package_dir})

configure_file(cmake/windowkv.pc.in ${generated_dir}/windowkv.pc @ONLY)
install(FILES ${generated_dir}/windowkv.pc DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/pkgconfig)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/licenses/windowkv)
