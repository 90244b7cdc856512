// In place of host/dynamic_library.cpp: the libraries are part of the emulation, unless a test takes one away.
#include "ops/cuda/host/dynamic_library.hpp"

#include <string_view>

#include "ops/cuda/emulated/libraries.hpp"
#include "ops/cuda/emulated/stream.hpp"
#include "ops/cuda/host/error.hpp"

namespace qwen3::cuda {

DynamicLibrary::DynamicLibrary(const char* what, const char* soname, const char*) : soname_(soname) {
    const bool nccl = std::string_view(soname).starts_with("libnccl");
    if (emulated::setting_names("QWEN3_CUDAEMU_WITHOUT", nccl ? "nccl" : "cublas"))
        throw_missing_library(what, soname, "emulated: taken away");
    handle_ = reinterpret_cast<void*>(nccl ? emulated::nccl_symbol : emulated::cublaslt_symbol);
}

void* DynamicLibrary::symbol(const char* name) const {
    void* address = reinterpret_cast<void* (*)(const char*)>(handle_)(name);
    if (!address)
        throw PluginError(QWEN3_CUDA_DEVICE_ERROR, std::string("emulated ") + soname_ + " has no function " + name);
    return address;
}

}  // namespace qwen3::cuda
