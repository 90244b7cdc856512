// Which devices a model runs on where nobody names them, and why not on others.
#include <algorithm>

#include "ops/cuda_plugin/abi.h"
#include "qwen3/engine.hpp"
#include "runtime/device_name.hpp"
#include "runtime/machine.hpp"

namespace qwen3 {

std::vector<std::string> default_devices(int64_t query_heads, int threads, bool gpus) {
    if (const int count = gpus ? count_gpus(DeviceKind::cuda).count : 0; count > 0)
        return gpu_names(std::min<int64_t>(count, query_heads));
    const Topology topology = read_topology();
    return default_devices(topology, threads ? threads : default_threads(topology), query_heads);
}

std::optional<std::string> why_no_gpu() {
    const GpuCount gpus = count_gpus(DeviceKind::cuda);
    return gpus.count > 0 ? std::nullopt : std::optional(gpus.problem);
}

std::optional<std::string> gpu_obstacle(const Meta& meta, std::optional<WeightType> weights) {
    if (meta.experts.count > 0)
        return "this model is a mixture of experts, and GPUs run dense ones: use --devices cpu:0";
    if (meta.dh > QWEN3_CUDA_MAX_HEAD_DIM)
        return "head_dim is " + std::to_string(meta.dh) + ", and GPUs take at most " +
               std::to_string(QWEN3_CUDA_MAX_HEAD_DIM) + ": use --devices cpu:0";
    if (weights && *weights != WeightType::bf16)
        return "weights = " + std::string(weight_type_name(*weights)) +
               ", and GPUs keep them as bf16: use --weights auto or bf16, or a CPU (--devices cpu:0)";
    return std::nullopt;
}

}  // namespace qwen3
