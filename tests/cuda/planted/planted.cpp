// Runs one planted kernel over the emulator: planted NAME clean|bug. Prints what came out, one value a line; the order
// of threads is that of QWEN3_EMU_ORDER.
#include "planted.cuh"

#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

namespace {

using Kernel = void (*)(const float*, float*);

Kernel find(std::string_view name, bool bug) {
#define PLANTED_CASE(kernel) \
    if (name == #kernel) return bug ? planted::kernel<true> : planted::kernel<false>;
    PLANTED_KERNELS(PLANTED_CASE)
#undef PLANTED_CASE
    return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
    const Kernel kernel = argc == 3 ? find(argv[1], std::strcmp(argv[2], "bug") == 0) : nullptr;
    if (!kernel) {
        std::fprintf(stderr, "usage: planted NAME clean|bug\n");
        return 2;
    }
    // On 16 bytes, as device memory is.
    std::vector<float4> in(planted::kInputs / 4), out(planted::kBlocks * planted::kThreads / 4);
    auto* values = reinterpret_cast<float*>(in.data());
    for (int i = 0; i < planted::kInputs; ++i) values[i] = static_cast<float>(i);
    auto* results = reinterpret_cast<float*>(out.data());
    if (const char* error = gpu::launch(kernel, planted::kBlocks, planted::kThreads, 0, nullptr, values, results)) {
        std::fprintf(stderr, "%s\n", error);
        return 1;
    }
    for (int i = 0; i < planted::kBlocks * planted::kThreads; ++i) std::printf("%g\n", results[i]);
}
