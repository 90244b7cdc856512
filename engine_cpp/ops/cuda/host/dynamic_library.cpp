#include "ops/cuda/host/dynamic_library.hpp"

#include <filesystem>

#include "ops/cuda/host/error.hpp"

#include <dlfcn.h>

namespace qwen3::cuda {
namespace {

namespace fs = std::filesystem;

// site-packages, when this plugin lies in site-packages/qwen3_chat/engine.
fs::path site_packages() {
    Dl_info info{};
    static const char anchor = 0;
    if (!dladdr(&anchor, &info) || !info.dli_fname) return {};
    return fs::path(info.dli_fname).parent_path().parent_path().parent_path();
}

}  // namespace

DynamicLibrary::DynamicLibrary(const char* what, const char* soname, const char* wheel_folder) : soname_(soname) {
    const std::string places[] = {
        site_packages() / wheel_folder / soname,
        soname,  // loaded already, or on the system's path
        fs::path("/usr/local/cuda/lib64") / soname,
    };
    std::string tried;
    for (const std::string& place : places) {
        handle_ = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (handle_) return;
        const char* error = dlerror();
        tried += (tried.empty() ? "" : "; ") + std::string(error ? error : place.c_str());
    }
    throw_missing_library(what, soname, tried);
}

void* DynamicLibrary::symbol(const char* name) const {
    void* address = dlsym(handle_, name);
    if (!address)
        throw PluginError(QWEN3_CUDA_DEVICE_ERROR, std::string(soname_) + " has no function " + name +
                                                       "; pip install 'qwen3-chat[cuda]' brings one that has");
    return address;
}

}  // namespace qwen3::cuda
