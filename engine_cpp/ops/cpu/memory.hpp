// Large blocks straight from the system: zeroed, page aligned, touched first by the thread that fills them.
#pragma once

#include <cstddef>
#include <utility>

namespace qwen3::cpu {

class Block {
public:
    Block() = default;
    // Throws OutOfMemory, saying what the block was for. Memory is committed as it is touched.
    Block(size_t bytes, const char* purpose);
    ~Block();
    Block(Block&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Block& operator=(Block&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }

    std::byte* data() const { return data_; }
    size_t bytes() const { return bytes_; }

private:
    std::byte* data_ = nullptr;
    size_t bytes_ = 0;
};

}  // namespace qwen3::cpu
