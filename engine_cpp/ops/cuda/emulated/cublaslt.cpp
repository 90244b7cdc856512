// cuBLASLt as its manual describes it: column-major, bf16 operands, f32 sums and results.
#include <cstring>
#include <string_view>

#include "ops/cuda/emulated/libraries.hpp"
#include "ops/cuda/emulated/stream.hpp"
#include "ops/cuda/host/cublaslt_abi.hpp"

namespace qwen3::cuda::cublaslt {

struct HandleStruct {};
struct MatmulDescStruct {
    int32_t transpose_a = 0;
};
struct MatrixLayoutStruct {
    int type;
    int64_t rows, columns, leading;
};
struct PreferenceStruct {
    uint64_t workspace = 0;
    uint32_t alignment_a = 256, alignment_b = 256, alignment_c = 256, alignment_d = 256;  // the real defaults
};

namespace {

constexpr int kInvalidValue = 7;   // CUBLAS_STATUS_INVALID_VALUE
constexpr int kNotSupported = 15;  // CUBLAS_STATUS_NOT_SUPPORTED

int create(Handle* handle) {
    *handle = new HandleStruct;
    return kSuccess;
}
int destroy(Handle handle) {
    delete handle;
    return kSuccess;
}
const char* status_string(int status) {
    return status == kInvalidValue ? "CUBLAS_STATUS_INVALID_VALUE" : "CUBLAS_STATUS_NOT_SUPPORTED";
}

int desc_create(MatmulDesc* desc, int compute_type, int scale_type) {
    if (compute_type != kCompute32F || scale_type != kF32) return kNotSupported;
    *desc = new MatmulDescStruct;
    return kSuccess;
}
int desc_destroy(MatmulDesc desc) {
    delete desc;
    return kSuccess;
}
int desc_set(MatmulDesc desc, int attribute, const void* value, size_t size) {
    if (attribute != kDescTransA || size != sizeof(desc->transpose_a)) return kInvalidValue;
    std::memcpy(&desc->transpose_a, value, size);
    return kSuccess;
}

int layout_create(MatrixLayout* layout, int type, uint64_t rows, uint64_t columns, int64_t leading) {
    if (rows == 0 || columns == 0 || leading < static_cast<int64_t>(rows)) return kInvalidValue;
    *layout = new MatrixLayoutStruct{type, static_cast<int64_t>(rows), static_cast<int64_t>(columns), leading};
    return kSuccess;
}
int layout_destroy(MatrixLayout layout) {
    delete layout;
    return kSuccess;
}

int preference_create(Preference* preference) {
    *preference = new PreferenceStruct;
    return kSuccess;
}
int preference_destroy(Preference preference) {
    delete preference;
    return kSuccess;
}
int preference_set(Preference preference, int attribute, const void* value, size_t size) {
    if (attribute == kMaxWorkspaceBytes && size == sizeof(uint64_t)) {
        std::memcpy(&preference->workspace, value, size);
        return kSuccess;
    }
    uint32_t* const alignments[] = {&preference->alignment_a, &preference->alignment_b, &preference->alignment_c,
                                    &preference->alignment_d};
    if (attribute < kMinAlignmentA || attribute > kMinAlignmentD || size != sizeof(uint32_t)) return kInvalidValue;
    std::memcpy(alignments[attribute - kMinAlignmentA], value, size);
    return kSuccess;
}

// op(a) [m, k] times b [k, n] is d [m, n].
bool fit(MatmulDesc desc, MatrixLayout a, MatrixLayout b, MatrixLayout c, MatrixLayout d) {
    const int64_t m = desc->transpose_a ? a->columns : a->rows;
    const int64_t k = desc->transpose_a ? a->rows : a->columns;
    return a->type == kBf16 && b->type == kBf16 && c->type == kF32 && d->type == kF32 && b->rows == k && d->rows == m &&
           d->columns == b->columns && c->rows == d->rows && c->columns == d->columns;
}

// An algorithm that was chosen for some alignments is no good for less: the promise travels in Algo.
int heuristic(Handle, MatmulDesc desc, MatrixLayout a, MatrixLayout b, MatrixLayout c, MatrixLayout d,
              Preference preference, int requested, HeuristicResult* results, int* found) {
    if (requested < 1 || !fit(desc, a, b, c, d)) return kInvalidValue;
    results[0] = {};
    results[0].algo.data[0] = preference->alignment_a;
    results[0].algo.data[1] = preference->alignment_b;
    results[0].algo.data[2] = preference->alignment_d;
    *found = 1;
    return kSuccess;
}

float widen(const void* values, int64_t index) {
    uint16_t bits = 0;
    std::memcpy(&bits, static_cast<const std::byte*>(values) + index * 2, sizeof(bits));
    const uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float value = 0.0F;
    std::memcpy(&value, &wide, sizeof(value));
    return value;
}

bool aligned(const void* data, uint64_t bytes) { return reinterpret_cast<uintptr_t>(data) % bytes == 0; }

int matmul(Handle, MatmulDesc desc, const void* alpha, const void* a, MatrixLayout a_layout, const void* b,
           MatrixLayout b_layout, const void* beta, const void* c, MatrixLayout c_layout, void* d,
           MatrixLayout d_layout, const Algo* algo, void*, size_t, cudaStream_t stream) {
    if (!fit(desc, a_layout, b_layout, c_layout, d_layout)) return kInvalidValue;
    if (c != d || c_layout->leading != d_layout->leading) return kNotSupported;  // in place is all that is used
    if (!aligned(a, algo->data[0]) || !aligned(b, algo->data[1]) || !aligned(d, algo->data[2])) return kNotSupported;
    float scale = 0.0F;
    float keep = 0.0F;
    std::memcpy(&scale, alpha, sizeof(scale));  // host pointers are read at the call
    std::memcpy(&keep, beta, sizeof(keep));
    const bool transpose = desc->transpose_a != 0;
    const auto run = [=, m = d_layout->rows, n = d_layout->columns, k = b_layout->rows, lda = a_layout->leading,
                      ldb = b_layout->leading, ldd = d_layout->leading]() -> const char* {
        auto* out = static_cast<float*>(d);
        for (int64_t column = 0; column < n; ++column)
            for (int64_t row = 0; row < m; ++row) {
                float sum = 0.0F;
                for (int64_t i = 0; i < k; ++i)
                    sum += widen(a, transpose ? row * lda + i : i * lda + row) * widen(b, column * ldb + i);
                float& y = out[column * ldd + row];
                y = scale * sum + (keep == 0.0F ? 0.0F : keep * y);  // with beta = 0 the old values are not read
            }
        return nullptr;
    };
    return emulated::submit(stream, "cublasLtMatmul", run) == cudaSuccess ? kSuccess : kInvalidValue;
}

}  // namespace
}  // namespace qwen3::cuda::cublaslt

void* qwen3::cuda::emulated::cublaslt_symbol(const char* name) {
    using namespace qwen3::cuda::cublaslt;
    const std::string_view wanted = name;
    const std::pair<std::string_view, void*> symbols[] = {
        {"cublasLtCreate", reinterpret_cast<void*>(create)},
        {"cublasLtDestroy", reinterpret_cast<void*>(destroy)},
        {"cublasLtGetStatusString", reinterpret_cast<void*>(status_string)},
        {"cublasLtMatmulDescCreate", reinterpret_cast<void*>(desc_create)},
        {"cublasLtMatmulDescDestroy", reinterpret_cast<void*>(desc_destroy)},
        {"cublasLtMatmulDescSetAttribute", reinterpret_cast<void*>(desc_set)},
        {"cublasLtMatrixLayoutCreate", reinterpret_cast<void*>(layout_create)},
        {"cublasLtMatrixLayoutDestroy", reinterpret_cast<void*>(layout_destroy)},
        {"cublasLtMatmulPreferenceCreate", reinterpret_cast<void*>(preference_create)},
        {"cublasLtMatmulPreferenceDestroy", reinterpret_cast<void*>(preference_destroy)},
        {"cublasLtMatmulPreferenceSetAttribute", reinterpret_cast<void*>(preference_set)},
        {"cublasLtMatmulAlgoGetHeuristic", reinterpret_cast<void*>(heuristic)},
        {"cublasLtMatmul", reinterpret_cast<void*>(matmul)},
    };
    for (const auto& [symbol, address] : symbols)
        if (symbol == wanted) return address;
    return nullptr;
}
