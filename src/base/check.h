// SPDX-License-Identifier: Apache-2.0
// Errors by whose fault they are. A UserError is caused by the model, the options or the files the
// user gave; an InternalError is a defect of Tessera. Expected outcomes use Result (result.h).
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace tessera {

/// What a user can do about an error; the command line maps it to an exit code.
enum class ErrorKind {
  invalid_input,     ///< a malformed or inconsistent model, file or option (exit code 2)
  unsupported,       ///< valid, but Tessera cannot interpret it (exit code 2)
  needs_value,       ///< a shape depends on the value of a graph input that was not given
  missing_resource,  ///< a device, file or library is absent, or a limit was reached (exit code 3)
};

/// The user's input or options are wrong. The message says what was expected and what was found.
class UserError : public std::runtime_error {
 public:
  UserError(ErrorKind kind, const std::string& message)
      : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

/// A broken invariant of Tessera itself (exit code 70).
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] void fail_check(const char* file, int line, const char* condition,
                             const std::string& message);

/// Throws UserError(kind) with a formatted message.
template <typename... Args>
[[noreturn]] void fail_user(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw UserError(kind, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace tessera

/// Always-on invariant: `TESSERA_CHECK(a < b, "a = {}", a)`; failing is a defect of Tessera.
#define TESSERA_CHECK(condition, ...)                                                       \
  do {                                                                                      \
    if (!(condition)) [[unlikely]]                                                          \
      ::tessera::fail_check(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
  } while (false)

/// Validates the user's input: `TESSERA_USER_CHECK(rank == 4, "rank must be 4, found {}", rank)`.
#define TESSERA_USER_CHECK(condition, ...)                                    \
  do {                                                                        \
    if (!(condition)) [[unlikely]]                                            \
      ::tessera::fail_user(::tessera::ErrorKind::invalid_input, __VA_ARGS__); \
  } while (false)
