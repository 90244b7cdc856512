// The plugin's one symbol: the table of functions, behind which exceptions become statuses.
#include <exception>
#include <new>
#include <string>

#include "ops/cuda/host/device.hpp"
#include "ops/cuda_plugin/abi.h"

struct Qwen3CudaDevice {
    qwen3::cuda::Device device;
};

namespace qwen3::cuda {
namespace {

thread_local std::string last_error;

template <class Function>
int32_t guarded(Function&& function) {
    try {
        function();
        return QWEN3_CUDA_OK;
    } catch (const PluginError& error) {
        last_error = error.what();
        return error.status();
    } catch (const std::bad_alloc&) {
        last_error = "the host has no memory left";
        return QWEN3_CUDA_OUT_OF_MEMORY;
    } catch (const std::exception& error) {
        last_error = error.what();
        return QWEN3_CUDA_DEVICE_ERROR;
    }
}

int device_count() {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess && count > 0) return count;
    (void)cudaGetLastError();
    const bool driver = error == cudaErrorInsufficientDriver;
    throw PluginError(QWEN3_CUDA_DEVICE_ERROR,
                      driver ? "no NVIDIA driver, or one too old for CUDA 13 (cudaGetDeviceCount: " +
                                   std::string(cudaGetErrorString(error)) +
                                   "); install driver 580 or newer, or use --devices cpu:0"
                             : "no GPU is visible (cudaGetDeviceCount: " + std::string(cudaGetErrorString(error)) +
                                   "); see nvidia-smi and CUDA_VISIBLE_DEVICES, or use --devices cpu:0");
}

float* floats(Qwen3CudaMemory memory) { return static_cast<float*>(memory); }
const Bf16* weights(Qwen3CudaMemory memory) { return static_cast<const Bf16*>(memory); }

const Qwen3CudaApi kApi{
    .version = QWEN3_CUDA_ABI_VERSION,
    .size = sizeof(Qwen3CudaApi),
    .last_error = [] { return last_error.c_str(); },
    .device_count = [](int32_t* count) { return guarded([=] { *count = device_count(); }); },
    .group_id = [](Qwen3CudaGroupId* id) { return guarded([=] { *id = NcclRank::new_group(); }); },
    .open = [](int32_t ordinal, const Qwen3CudaShape* shape,
               Qwen3CudaDevice** out) { return guarded([=] { *out = new Qwen3CudaDevice{{ordinal, *shape}}; }); },
    .close = [](Qwen3CudaDevice* self) { delete self; },
    .join = [](Qwen3CudaDevice* self, const Qwen3CudaGroupId* id, int32_t rank,
               int32_t size) { return guarded([=] { self->device.join(*id, rank, size); }); },
    .architecture = [](const Qwen3CudaDevice* self) { return self->device.architecture().c_str(); },
    .free_bytes =
        [](Qwen3CudaDevice* self, int64_t* bytes) {
            return guarded([=] { *bytes = static_cast<int64_t>(self->device.free_bytes()); });
        },
    .page_bytes = [](const Qwen3CudaDevice* self) { return self->device.page_bytes(); },
    .workspace_bytes = [](const Qwen3CudaDevice* self) { return static_cast<int64_t>(self->device.workspace_bytes()); },
    .alloc = [](Qwen3CudaDevice* self, size_t bytes, const char* what,
                Qwen3CudaMemory* memory) { return guarded([=] { *memory = self->device.alloc(bytes, what); }); },
    .release = [](Qwen3CudaDevice* self, Qwen3CudaMemory memory) { self->device.release(memory); },
    .staging =
        [](Qwen3CudaDevice* self, void** host, size_t* bytes) {
            return guarded([=] {
                const Staging::Buffer buffer = self->device.staging();
                *host = buffer.data;
                *bytes = buffer.bytes;
            });
        },
    .upload = [](Qwen3CudaDevice* self, Qwen3CudaMemory to,
                 size_t bytes) { return guarded([=] { self->device.upload(to, bytes); }); },
    .begin_step =
        [](Qwen3CudaDevice* self, const Qwen3CudaBatch* batch, Qwen3CudaMemory pages, int32_t timed,
           Qwen3CudaStopped stopped, void* context) {
            return guarded([=] {
                self->device.begin_step(*batch, static_cast<std::byte*>(pages), timed != 0,
                                        [=] { return stopped(context) != 0; });
            });
        },
    .embed =
        [](Qwen3CudaDevice* self, Qwen3CudaMemory table, Qwen3CudaMemory hidden) {
            return guarded([=] { self->device.embed(weights(table), floats(hidden)); });
        },
    .norm_qkv =
        [](Qwen3CudaDevice* self, Qwen3CudaMemory hidden, Qwen3CudaMemory norm, Qwen3CudaMemory wq, Qwen3CudaMemory wk,
           Qwen3CudaMemory wv, Qwen3CudaMemory q, Qwen3CudaMemory k, Qwen3CudaMemory v) {
            return guarded([=] {
                self->device.norm_qkv(floats(hidden), floats(norm), weights(wq), weights(wk), weights(wv), floats(q),
                                      floats(k), floats(v));
            });
        },
    .qk_norm_rope_append =
        [](Qwen3CudaDevice* self, Qwen3CudaMemory q, Qwen3CudaMemory k, Qwen3CudaMemory v, Qwen3CudaMemory q_norm,
           Qwen3CudaMemory k_norm, int64_t layer) {
            return guarded([=] {
                self->device.qk_norm_rope_append(floats(q), floats(k), floats(v), floats(q_norm), floats(k_norm),
                                                 layer);
            });
        },
    .attention = [](Qwen3CudaDevice* self, Qwen3CudaMemory q, Qwen3CudaMemory out,
                    int64_t layer) { return guarded([=] { self->device.attention(floats(q), floats(out), layer); }); },
    .o_residual =
        [](Qwen3CudaDevice* self, Qwen3CudaMemory attn, Qwen3CudaMemory wo, int32_t residual, Qwen3CudaMemory hidden) {
            return guarded([=] { self->device.o_residual(floats(attn), weights(wo), residual != 0, floats(hidden)); });
        },
    .norm_gate_up_silu =
        [](Qwen3CudaDevice* self, Qwen3CudaMemory hidden, Qwen3CudaMemory norm, Qwen3CudaMemory gate,
           Qwen3CudaMemory up, Qwen3CudaMemory act) {
            return guarded([=] {
                self->device.norm_gate_up_silu(floats(hidden), floats(norm), weights(gate), weights(up), floats(act));
            });
        },
    .down_residual =
        [](Qwen3CudaDevice* self, Qwen3CudaMemory act, Qwen3CudaMemory down, int32_t residual, Qwen3CudaMemory hidden) {
            return guarded(
                [=] { self->device.down_residual(floats(act), weights(down), residual != 0, floats(hidden)); });
        },
    .all_reduce_sum =
        [](Qwen3CudaDevice* self, Qwen3CudaMemory hidden) {
            return guarded([=] { self->device.all_reduce_sum(floats(hidden)); });
        },
    .norm_head =
        [](Qwen3CudaDevice* self, Qwen3CudaMemory hidden, Qwen3CudaMemory norm, Qwen3CudaMemory head, float* logits) {
            return guarded([=] { self->device.norm_head(floats(hidden), floats(norm), weights(head), logits); });
        },
    .mark = [](Qwen3CudaDevice* self, int64_t index) { return guarded([=] { self->device.mark(index); }); },
    .end_step = [](Qwen3CudaDevice* self) { return guarded([=] { self->device.end_step(); }); },
    .elapsed = [](Qwen3CudaDevice* self, int64_t* ns,
                  int64_t count) { return guarded([=] { self->device.elapsed(ns, count); }); },
    .counts = [](const Qwen3CudaDevice* self, Qwen3CudaCounts* counts) { *counts = self->device.counts(); },
};

}  // namespace
}  // namespace qwen3::cuda

extern "C" __attribute__((visibility("default"))) const Qwen3CudaApi* qwen3_cuda_api(void) {
    return &qwen3::cuda::kApi;
}
