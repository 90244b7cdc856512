#include "ops/cuda/host/dynamic_library.hpp"
#include "ops/cuda/host/error.hpp"

namespace qwen3::cuda {

void throw_missing_library(const char* what, const char* soname, const std::string& tried) {
    throw PluginError(QWEN3_CUDA_DEVICE_ERROR, std::string(what) + " (" + soname +
                                                   ") cannot be loaded; pip install 'qwen3-chat[cuda]' brings it, or "
                                                   "use --devices cpu:0. Tried: " +
                                                   tried);
}

}  // namespace qwen3::cuda
