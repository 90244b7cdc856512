// The libraries that an emulated machine has.
#pragma once

namespace qwen3::cuda::emulated {

// A function by its real name; nullptr when the library has none such.
void* cublaslt_symbol(const char* name);
void* nccl_symbol(const char* name);

}  // namespace qwen3::cuda::emulated
