#include "ops/cpu/memory.hpp"

#include <string>

#include "qwen3/error.hpp"

#include <sys/mman.h>

namespace qwen3::cpu {

Block::Block(size_t bytes, const char* purpose) : bytes_(bytes) {
    if (bytes == 0) return;
    void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) {
        bytes_ = 0;
        throw OutOfMemory("cannot reserve " + std::to_string(bytes >> 20) + " MiB for " + purpose);
    }
#if defined(MADV_HUGEPAGE)
    constexpr size_t kWorthwhile = size_t{4} << 20;
    if (bytes >= kWorthwhile) madvise(data, bytes, MADV_HUGEPAGE);
#endif
    data_ = static_cast<std::byte*>(data);
}

Block::~Block() {
    if (data_) munmap(data_, bytes_);
}

}  // namespace qwen3::cpu
