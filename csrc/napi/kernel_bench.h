// F6. The benchmark of kernels as a function of the addon.
#pragma once

#include <napi.h>

namespace cria::js {

/// kernelBenchmark(cases, threads, samples, token, onLimits, onResult), as lib/native.ts says.
Napi::Value kernel_benchmark(const Napi::CallbackInfo& info);

}  // namespace cria::js
