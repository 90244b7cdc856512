// What a step asks of the device's memory, counted from the shapes of what is launched.
#pragma once

#include <cstdint>

namespace qwen3::cuda {

class Traffic {
public:
    void launch(int64_t kernels = 1) { launches_ += kernels; }
    void collective() { ++collectives_; }
    void move(int64_t elements, int64_t element_bytes) { bytes_ += elements * element_bytes; }  // read or written

    int64_t launches() const { return launches_; }
    int64_t collectives() const { return collectives_; }
    int64_t bytes() const { return bytes_; }

private:
    int64_t launches_ = 0;
    int64_t collectives_ = 0;
    int64_t bytes_ = 0;
};

}  // namespace qwen3::cuda
