// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>

#include "emulated.hpp"

namespace emulated {
namespace {

[[noreturn]] void run_child(int out, bool (*test)()) {
  dup2(out, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  for (int signal : {SIGABRT, SIGSEGV, SIGBUS}) std::signal(signal, SIG_DFL);  // not Catch2's handlers
  try {
    if (!test()) dprintf(STDERR_FILENO, "wrong");
  } catch (std::exception const& e) {
    dprintf(STDERR_FILENO, "%s", e.what());
  }
  std::_Exit(0);
}

}  // namespace

std::string report_of(bool (*test)()) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("pipe failed");
  std::fflush(nullptr);
  pid_t const child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) run_child(ends[1], test);
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(n));
  }
  close(ends[0]);
  int status = 0;
  if (waitpid(child, &status, 0) != child) throw std::runtime_error("waitpid failed");
  if (status != 0 && text.empty()) text = "ended with status " + std::to_string(status);
  return text;
}

}  // namespace emulated
