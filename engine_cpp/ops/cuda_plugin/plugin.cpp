#include "ops/cuda_plugin/plugin.hpp"

#include <filesystem>
#include <vector>

#include "qwen3/error.hpp"

#include <dlfcn.h>

namespace qwen3::cuda_plugin {
namespace {

namespace fs = std::filesystem;

// Where the core was loaded from; behind links, too.
std::vector<fs::path> own_folders() {
    Dl_info info{};
    static const char anchor = 0;
    if (!dladdr(&anchor, &info) || !info.dli_fname) return {};
    std::vector<fs::path> folders{fs::path(info.dli_fname).parent_path()};
    std::error_code error;
    const fs::path resolved = fs::canonical(info.dli_fname, error);
    if (!error && resolved.parent_path() != folders.front()) folders.push_back(resolved.parent_path());
    return folders;
}

fs::path find(const std::string& file) {
    for (const fs::path& folder : own_folders())
        if (std::error_code error; fs::exists(folder / file, error)) return folder / file;
    throw DeviceError("this build has no CUDA backend (" + file +
                      " is not beside the engine); use --devices cpu:0, or where nvcc is installed build it with pip "
                      "install --config-settings=cmake.define.ENGINE_CUDA=ON '.[cuda]'");
}

}  // namespace

Plugin::Plugin(const std::string& file) {
    const fs::path path = find(file);
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char* message = dlerror();
        throw DeviceError("the CUDA backend cannot be loaded (" + std::string(message ? message : path.c_str()) +
                          "); build the engine again on this machine, or use --devices cpu:0");
    }
    const auto entry = reinterpret_cast<Qwen3CudaEntry>(dlsym(library, "qwen3_cuda_api"));
    const Qwen3CudaApi* api = entry ? entry() : nullptr;
    if (!api || api->version != QWEN3_CUDA_ABI_VERSION || api->size != sizeof(Qwen3CudaApi))
        throw DeviceError(path.string() + " is version " + std::to_string(api ? api->version : 0) +
                          " of the CUDA backend and the engine expects " + std::to_string(QWEN3_CUDA_ABI_VERSION) +
                          "; build and install both together");
    api_ = api;
}

int Plugin::device_count() const {
    int32_t count = 0;
    check(api_->device_count(&count));
    return count;
}

Qwen3CudaGroupId Plugin::group_id() const {
    Qwen3CudaGroupId id{};
    check(api_->group_id(&id));
    return id;
}

void Plugin::fail(int32_t status) const {
    const std::string message = api_->last_error();
    switch (status) {
        case QWEN3_CUDA_CONFIG_ERROR: throw ConfigError(message);
        case QWEN3_CUDA_OUT_OF_MEMORY: throw OutOfMemory(message);
        case QWEN3_CUDA_CANCELLED: throw Cancelled(message);
        default: throw DeviceError(message);
    }
}

}  // namespace qwen3::cuda_plugin
