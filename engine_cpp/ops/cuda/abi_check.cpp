// Compiles only if what the backend declares of cuBLASLt and NCCL is what their headers say. `make cuda-abi` gets them.
#include <cublasLt.h>
#include <nccl.h>

#include <cstddef>
#include <type_traits>

#include "ops/cuda/host/cublaslt_abi.hpp"
#include "ops/cuda/host/nccl_abi.hpp"

namespace lt = qwen3::cuda::cublaslt;
namespace nccl = qwen3::cuda::nccl;

// Parameters that differ in name only: pointers to opaque structs stand for each other, enums for int.
template <class T>
struct Plain {
    using type = std::conditional_t<std::is_enum_v<T>, int, T>;
};
template <class T>
    requires std::is_pointer_v<T>
struct Plain<T> {
    using type = void*;
};
template <>
struct Plain<ncclUniqueId> {
    using type = nccl::UniqueId;
};

template <class>
struct Signature;
template <class Result, class... Arguments>
struct Signature<Result (*)(Arguments...)> {
    using type = typename Plain<Result>::type (*)(typename Plain<Arguments>::type...);
};
template <class Ours, class Real>
constexpr bool kSame = std::is_same_v<typename Signature<Ours>::type, typename Signature<Real>::type>;

#define SAME(ours, real) static_assert(kSame<decltype(ours), decltype(&real)>)

SAME(lt::Functions::Create, cublasLtCreate);
SAME(lt::Functions::Destroy, cublasLtDestroy);
SAME(lt::Functions::GetStatusString, cublasLtGetStatusString);
SAME(lt::Functions::MatmulDescCreate, cublasLtMatmulDescCreate);
SAME(lt::Functions::MatmulDescDestroy, cublasLtMatmulDescDestroy);
SAME(lt::Functions::MatmulDescSetAttribute, cublasLtMatmulDescSetAttribute);
SAME(lt::Functions::MatrixLayoutCreate, cublasLtMatrixLayoutCreate);
SAME(lt::Functions::MatrixLayoutDestroy, cublasLtMatrixLayoutDestroy);
SAME(lt::Functions::MatmulPreferenceCreate, cublasLtMatmulPreferenceCreate);
SAME(lt::Functions::MatmulPreferenceDestroy, cublasLtMatmulPreferenceDestroy);
SAME(lt::Functions::MatmulPreferenceSetAttribute, cublasLtMatmulPreferenceSetAttribute);
SAME(lt::Functions::MatmulAlgoGetHeuristic, cublasLtMatmulAlgoGetHeuristic);
SAME(lt::Functions::Matmul, cublasLtMatmul);

static_assert(lt::kSuccess == CUBLAS_STATUS_SUCCESS);
static_assert(lt::kF32 == CUDA_R_32F && lt::kBf16 == CUDA_R_16BF && lt::kCompute32F == CUBLAS_COMPUTE_32F);
static_assert(lt::kTranspose == CUBLAS_OP_T && lt::kDescTransA == CUBLASLT_MATMUL_DESC_TRANSA);
static_assert(lt::kMaxWorkspaceBytes == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
static_assert(lt::kMinAlignmentA == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
static_assert(lt::kMinAlignmentB == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
static_assert(lt::kMinAlignmentC == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
static_assert(lt::kMinAlignmentD == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
static_assert(sizeof(lt::Algo) == sizeof(cublasLtMatmulAlgo_t));
static_assert(sizeof(lt::HeuristicResult) == sizeof(cublasLtMatmulHeuristicResult_t));
static_assert(offsetof(lt::HeuristicResult, workspace_size) ==
              offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
static_assert(offsetof(lt::HeuristicResult, state) == offsetof(cublasLtMatmulHeuristicResult_t, state));

SAME(nccl::Functions::GetErrorString, ncclGetErrorString);
SAME(nccl::Functions::GetUniqueId, ncclGetUniqueId);
SAME(nccl::Functions::CommInitRank, ncclCommInitRank);
SAME(nccl::Functions::CommDestroy, ncclCommDestroy);
SAME(nccl::Functions::CommAbort, ncclCommAbort);
SAME(nccl::Functions::AllReduce, ncclAllReduce);

static_assert(nccl::kSuccess == ncclSuccess && nccl::kFloat32 == ncclFloat32 && nccl::kSum == ncclSum);
static_assert(sizeof(nccl::UniqueId) == sizeof(ncclUniqueId));
