// Emulated GPUs and their memory: the host's, but bounded, and known block by block.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "ops/cuda/emulated/stream.hpp"

namespace qwen3::cuda::emulated {
namespace {

constexpr int kHost = -1;  // page-locked
constexpr size_t kAlignment = 256;
thread_local int current = 0;

struct Memory {
    int device;
    size_t bytes;
};

std::mutex mutex;
std::map<const std::byte*, Memory>& blocks() {
    static std::map<const std::byte*, Memory> all;
    return all;
}

int device_count() {
    const int count = std::atoi(setting("QWEN3_CUDAEMU_DEVICES"));
    return count > 0 ? count : 8;
}

size_t capacity() {
    const long long bytes = std::atoll(setting("QWEN3_CUDAEMU_MEMORY"));
    return bytes > 0 ? static_cast<size_t>(bytes) : size_t{64} << 30;
}

size_t used(int device) {
    size_t bytes = 0;
    for (const auto& [data, block] : blocks())
        if (block.device == device) bytes += block.bytes;
    return bytes;
}

cudaError_t allocate(void** memory, size_t bytes, int device) {
    const std::lock_guard lock(mutex);
    if (device != kHost && used(device) + bytes > capacity()) return cudaErrorMemoryAllocation;
    // A NaN in every float that nobody has written; a dry run touches no memory.
    void* data = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    if (!data) return cudaErrorMemoryAllocation;
    if (!dry()) std::memset(data, 0xff, bytes);
    blocks()[static_cast<const std::byte*>(data)] = {device, bytes};
    *memory = data;
    return cudaSuccess;
}

cudaError_t free(void* memory, bool host) {
    if (!memory) return cudaSuccess;
    const std::lock_guard lock(mutex);
    const auto found = blocks().find(static_cast<const std::byte*>(memory));
    if (found == blocks().end() || (found->second.device == kHost) != host) return cudaErrorInvalidValue;
    blocks().erase(found);
    std::free(memory);
    return cudaSuccess;
}

// Whether all of it lies in one block of that device.
bool lies_in(const void* memory, size_t bytes, int device) {
    const std::lock_guard lock(mutex);
    const auto* begin = static_cast<const std::byte*>(memory);
    auto found = blocks().upper_bound(begin);
    if (found == blocks().begin()) return false;
    --found;
    return found->second.device == device && begin + bytes <= found->first + found->second.bytes;
}

}  // namespace

cudaError_t current_device(int* device) {
    *device = current;
    return current < device_count() ? cudaSuccess : cudaErrorInvalidDevice;
}

}  // namespace qwen3::cuda::emulated

using namespace qwen3::cuda::emulated;

cudaError_t cudaGetLastError() { return cudaSuccess; }  // every error here has been returned where it arose

cudaError_t cudaGetDeviceCount(int* count) {
    *count = 0;
    if (setting_names("QWEN3_CUDAEMU_WITHOUT", "driver")) return cudaErrorInsufficientDriver;
    if (setting_names("QWEN3_CUDAEMU_WITHOUT", "gpu")) return cudaErrorNoDevice;
    *count = device_count();
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
    if (device < 0 || device >= device_count()) return cudaErrorInvalidDevice;
    current = device;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
    *value = attribute == cudaDevAttrComputeCapabilityMajor ? 9 : 0;
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
    const std::lock_guard lock(mutex);
    *total = capacity();
    *free = *total - std::min(*total, used(current));
    return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, size_t bytes) { return allocate(memory, bytes, current); }
cudaError_t cudaMallocHost(void** memory, size_t bytes) { return allocate(memory, bytes, kHost); }
cudaError_t cudaFree(void* memory) { return free(memory, false); }
cudaError_t cudaFreeHost(void* memory) { return free(memory, true); }

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    const bool up = kind == cudaMemcpyHostToDevice;
    if (!lies_in(up ? to : from, bytes, stream->device) || !lies_in(up ? from : to, bytes, kHost))
        return cudaErrorInvalidValue;
    return submit(stream, Entry{[=](int&) {
                      if (!dry()) std::memcpy(to, from, bytes);
                      return Progress::done;
                  }});
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
    if (!lies_in(memory, bytes, stream->device)) return cudaErrorInvalidValue;
    return submit(stream, Entry{[=](int&) {
                      if (!dry()) std::memset(memory, value, bytes);
                      return Progress::done;
                  }});
}
