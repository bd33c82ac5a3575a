#include "device/bench/report.h"

#include <cstdarg>
#include <cstdio>

namespace cria::test {
namespace {

__attribute__((format(printf, 1, 2))) std::string format(const char* pattern, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace

std::string Report::table() const {
  std::string out = format("%s, plugin %s; a copy moves %.0f GB/s\n\n", device.c_str(),
                           build.c_str(), bandwidth / 1e9);
  out += "kernel                     type    rows         us     GB/s  of copy   TFLOP/s\n";
  for (const Figure& f : figures)
    if (f.tokens == 0)
      out += format("%-26s %-7s %4lld %10.1f %8.0f %7.0f%% %9.1f\n", f.what.c_str(), f.type.c_str(),
                    static_cast<long long>(f.rows), f.seconds * 1e6, f.bytes / f.seconds / 1e9,
                    100 * f.bytes / f.seconds / bandwidth, f.operations / f.seconds / 1e12);
  out += "\nnetwork                    type    rows         ms   tokens/s\n";
  for (const Figure& f : figures)
    if (f.tokens > 0)
      out += format("%-26s %-7s %4lld %10.2f %10.1f\n", f.what.c_str(), f.type.c_str(),
                    static_cast<long long>(f.rows), f.seconds * 1e3,
                    static_cast<double>(f.tokens) / f.seconds);
  return out;
}

std::string Report::json() const {
  std::string out =
      format("{\n  \"device\": %s,\n  \"build\": %s,\n  \"copyBytesPerSecond\": %.0f,\n",
             quoted(device).c_str(), quoted(build).c_str(), bandwidth);
  out += "  \"figures\": [";
  for (size_t i = 0; i < figures.size(); ++i) {
    const Figure& f = figures[i];
    out += format("%s\n    {\"what\": %s, \"type\": %s, \"rows\": %lld, \"seconds\": %.9f, ",
                  i ? "," : "", quoted(f.what).c_str(), quoted(f.type).c_str(),
                  static_cast<long long>(f.rows), f.seconds);
    out += format("\"bytes\": %.0f, \"operations\": %.0f, \"tokens\": %lld}", f.bytes, f.operations,
                  static_cast<long long>(f.tokens));
  }
  return out + "\n  ]\n}\n";
}

}  // namespace cria::test
