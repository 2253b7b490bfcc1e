// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Names that system headers are known to define as macros: <complex.h>, <termios.h>, <windows.h>, <curses.h>.
// A header that uses one of them as an identifier does not compile here.
#define I windowkv_macro_trap(I)
#define B0 windowkv_macro_trap(B0)
#define near windowkv_macro_trap(near)
#define far windowkv_macro_trap(far)
#define small windowkv_macro_trap(small)
#define interface windowkv_macro_trap(interface)
#define OPTIONAL windowkv_macro_trap(OPTIONAL)
#define ERROR windowkv_macro_trap(ERROR)

#include <windowkv/windowkv.hpp>
