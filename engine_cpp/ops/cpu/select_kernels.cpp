#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "ops/cpu/kernels/kernels.hpp"
#include "qwen3/error.hpp"

namespace qwen3::cpu {

namespace portable {
extern const Kernels kKernels;
}
namespace avx2 {
extern const Kernels kKernels;
}
namespace avx512 {
extern const Kernels kKernels;
}

namespace {

// What this build holds and this machine runs, slowest first.
std::vector<const Kernels*> available() {
    std::vector<const Kernels*> found = {&portable::kKernels};
#if defined(QWEN3_HAVE_avx2)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
        found.push_back(&avx2::kKernels);
#endif
#if defined(QWEN3_HAVE_avx512)
    if (found.size() == 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        found.push_back(&avx512::kKernels);
#endif
    return found;
}

}  // namespace

const Kernels& select_kernels() {
    const std::vector<const Kernels*> found = available();
    const char* wanted = std::getenv("QWEN3_ISA");
    if (!wanted || !*wanted) return *found.back();
    std::string names;
    for (const Kernels* kernels : found) {
        if (std::string_view(kernels->isa) == wanted) return *kernels;
        names += (names.empty() ? "" : ", ") + std::string(kernels->isa);
    }
    throw ConfigError("QWEN3_ISA is '" + std::string(wanted) + "'; this machine and build can run: " + names);
}

}  // namespace qwen3::cpu
