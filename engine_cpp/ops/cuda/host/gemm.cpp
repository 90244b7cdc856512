#include "ops/cuda/host/gemm.hpp"

#include <algorithm>
#include <bit>
#include <string>

#include "ops/cuda/host/dynamic_library.hpp"

namespace qwen3::cuda {
namespace {

using namespace cublaslt;

constexpr size_t kWorkspace = size_t{32} << 20;  // what NVIDIA recommends for Hopper
constexpr size_t kMostPlans = 4096;

const Functions& functions() {
    static const Functions found = [] {
        const DynamicLibrary library("cuBLASLt, which multiplies long prompts,", "libcublasLt.so.13",
                                     "nvidia/cu13/lib");
        Functions f{};
        library.find(f.Create, "cublasLtCreate");
        library.find(f.Destroy, "cublasLtDestroy");
        library.find(f.GetStatusString, "cublasLtGetStatusString");
        library.find(f.MatmulDescCreate, "cublasLtMatmulDescCreate");
        library.find(f.MatmulDescDestroy, "cublasLtMatmulDescDestroy");
        library.find(f.MatmulDescSetAttribute, "cublasLtMatmulDescSetAttribute");
        library.find(f.MatrixLayoutCreate, "cublasLtMatrixLayoutCreate");
        library.find(f.MatrixLayoutDestroy, "cublasLtMatrixLayoutDestroy");
        library.find(f.MatmulPreferenceCreate, "cublasLtMatmulPreferenceCreate");
        library.find(f.MatmulPreferenceDestroy, "cublasLtMatmulPreferenceDestroy");
        library.find(f.MatmulPreferenceSetAttribute, "cublasLtMatmulPreferenceSetAttribute");
        library.find(f.MatmulAlgoGetHeuristic, "cublasLtMatmulAlgoGetHeuristic");
        library.find(f.Matmul, "cublasLtMatmul");
        return f;
    }();
    return found;
}

void check_lt(int status, const char* what) {
    if (status != kSuccess)
        throw PluginError(QWEN3_CUDA_DEVICE_ERROR, std::string("cuBLASLt failed in ") + what + ": " +
                                                       functions().GetStatusString(status) +
                                                       "; use --devices cpu:0 for this model");
}

// The largest power of two up to 256 that a matrix's rows begin on.
int alignment(const void* data, int64_t row_bytes) {
    const auto bits =
        static_cast<uint64_t>(reinterpret_cast<uintptr_t>(data)) | static_cast<uint64_t>(row_bytes) | 256U;
    return 1 << std::countr_zero(bits);
}

}  // namespace

// cuBLAS counts in columns: our row-major y [rows, out] is its [out, rows], x its [in, rows], and w its [in, out] to be
// transposed.
struct Gemm::Plan {
    Plan(Handle handle, int64_t rows, int64_t out, int64_t in, int x_alignment, int w_alignment);
    ~Plan();
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;

    MatmulDesc desc = nullptr;
    MatrixLayout w = nullptr, x = nullptr, y = nullptr;
    HeuristicResult best{};
};

Gemm::Plan::Plan(Handle handle, int64_t rows, int64_t out, int64_t in, int x_alignment, int w_alignment) {
    const Functions& lt = functions();
    check_lt(lt.MatmulDescCreate(&desc, kCompute32F, kF32), "cublasLtMatmulDescCreate");
    check_lt(lt.MatmulDescSetAttribute(desc, kDescTransA, &kTranspose, sizeof(kTranspose)),
             "cublasLtMatmulDescSetAttribute");
    const auto u = [](int64_t n) { return static_cast<uint64_t>(n); };
    check_lt(lt.MatrixLayoutCreate(&w, kBf16, u(in), u(out), in), "cublasLtMatrixLayoutCreate");
    check_lt(lt.MatrixLayoutCreate(&x, kBf16, u(in), u(rows), in), "cublasLtMatrixLayoutCreate");
    check_lt(lt.MatrixLayoutCreate(&y, kF32, u(out), u(rows), out), "cublasLtMatrixLayoutCreate");

    Preference preference = nullptr;
    check_lt(lt.MatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
    const std::unique_ptr<PreferenceStruct, int (*)(Preference)> owner(preference, lt.MatmulPreferenceDestroy);
    auto prefer = [&](int attribute, const auto& value) {
        check_lt(lt.MatmulPreferenceSetAttribute(preference, attribute, &value, sizeof(value)),
                 "cublasLtMatmulPreferenceSetAttribute");
    };
    prefer(kMaxWorkspaceBytes, kWorkspace);
    prefer(kMinAlignmentA, static_cast<uint32_t>(w_alignment));
    prefer(kMinAlignmentB, static_cast<uint32_t>(x_alignment));
    const auto y_alignment = static_cast<uint32_t>(alignment(nullptr, out * static_cast<int64_t>(sizeof(float))));
    prefer(kMinAlignmentC, std::min(y_alignment, 16U));
    prefer(kMinAlignmentD, std::min(y_alignment, 16U));
    int found = 0;
    check_lt(lt.MatmulAlgoGetHeuristic(handle, desc, w, x, y, y, preference, 1, &best, &found),
             "cublasLtMatmulAlgoGetHeuristic");
    if (found == 0)
        throw PluginError(QWEN3_CUDA_DEVICE_ERROR, "cuBLASLt has no kernel for a product of [" + std::to_string(rows) +
                                                       ", " + std::to_string(in) + "] and [" + std::to_string(in) +
                                                       ", " + std::to_string(out) + "]; use --devices cpu:0");
}

Gemm::Plan::~Plan() {
    const Functions& lt = functions();
    for (MatrixLayout layout : {w, x, y})
        if (layout) lt.MatrixLayoutDestroy(layout);
    if (desc) lt.MatmulDescDestroy(desc);
}

Gemm::Gemm() {
    check_lt(functions().Create(&handle_), "cublasLtCreate");
    workspace_.reserve(kWorkspace, "workspace");
}

Gemm::~Gemm() {
    plans_.clear();
    functions().Destroy(handle_);
}

const Gemm::Plan& Gemm::plan(const Bf16* x, const Weight& w, int64_t rows) {
    const int64_t row_bytes = w.columns * static_cast<int64_t>(sizeof(Bf16));
    const int x_alignment = alignment(x, row_bytes);
    const int w_alignment = alignment(w.data, row_bytes);
    if (plans_.size() >= kMostPlans) plans_.clear();
    std::unique_ptr<Plan>& plan = plans_[{rows, w.rows, w.columns, x_alignment, w_alignment}];
    if (!plan) plan = std::make_unique<Plan>(handle_, rows, w.rows, w.columns, x_alignment, w_alignment);
    return *plan;
}

void Gemm::multiply(const Bf16* x, const Weight& w, int64_t rows, bool accumulate, float* y, cudaStream_t stream) {
    if (rows == 0 || w.rows == 0) return;
    const Plan& p = plan(x, w, rows);
    const float alpha = 1.0F;
    const float beta = accumulate ? 1.0F : 0.0F;
    check_lt(functions().Matmul(handle_, p.desc, &alpha, w.data, p.w, x, p.x, &beta, y, p.y, y, p.y, &p.best.algo,
                                workspace_.data(), workspace_.bytes(), stream),
             "cublasLtMatmul");
}

}  // namespace qwen3::cuda
