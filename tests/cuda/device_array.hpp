// Arrays on the device that the kernels under test run on: the emulator's, which is host memory, or a GPU's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <vector>

#ifndef QWEN3_CUDA_EMU
#include <cuda_runtime_api.h>
#endif

namespace qwen3::cuda::test {

// Exactly as many bytes as asked for, so that a sanitizer sees an access beyond them.
class DeviceBytes {
public:
    explicit DeviceBytes(size_t bytes) : bytes_(bytes) {
        constexpr size_t kAlignment = 256;  // of cudaMalloc
#ifdef QWEN3_CUDA_EMU
        if (posix_memalign(&data_, kAlignment, bytes_) != 0) throw std::bad_alloc();
#else
        static_cast<void>(kAlignment);
        check(cudaMalloc(&data_, bytes_ == 0 ? 1 : bytes_));
#endif
    }
    ~DeviceBytes() {
#ifdef QWEN3_CUDA_EMU
        std::free(data_);
#else
        cudaFree(data_);
#endif
    }
    DeviceBytes(const DeviceBytes&) = delete;
    DeviceBytes& operator=(const DeviceBytes&) = delete;

    void* data() const { return data_; }

    void write(const void* from) {
#ifdef QWEN3_CUDA_EMU
        if (bytes_ > 0) std::memcpy(data_, from, bytes_);
#else
        check(cudaMemcpy(data_, from, bytes_, cudaMemcpyHostToDevice));
#endif
    }
    void read(void* to) const {
#ifdef QWEN3_CUDA_EMU
        if (bytes_ > 0) std::memcpy(to, data_, bytes_);
#else
        check(cudaMemcpy(to, data_, bytes_, cudaMemcpyDeviceToHost));
#endif
    }

private:
#ifndef QWEN3_CUDA_EMU
    static void check(cudaError_t error) {
        if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
    }
#endif
    void* data_ = nullptr;
    size_t bytes_;
};

template <class T>
class DeviceArray {
public:
    explicit DeviceArray(const std::vector<T>& values) : size_(values.size()), bytes_(size_ * sizeof(T)) {
        bytes_.write(values.data());
    }
    DeviceArray(size_t size, T value) : DeviceArray(std::vector<T>(size, value)) {}

    T* data() const { return static_cast<T*>(bytes_.data()); }
    size_t size() const { return size_; }
    void write(const std::vector<T>& values) {
        if (values.size() != size_) throw std::invalid_argument("a device array keeps its size");
        bytes_.write(values.data());
    }
    std::vector<T> read() const {
        std::vector<T> values(size_);
        bytes_.read(values.data());
        return values;
    }

private:
    size_t size_;
    DeviceBytes bytes_;
};

}  // namespace qwen3::cuda::test
