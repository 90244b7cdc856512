// The verbs: few rows by our own kernels, which read every weight once; many by cuBLASLt between ours.
#include <algorithm>

#include "ops/cuda/host/device.hpp"

namespace qwen3::cuda {

void Device::embed(const Bf16* table, float* hidden) {
    perform([=, this] {
        const Weight weight{table, vocab(), shape_.d};
        kernels(1, "embed",
                [=, step = step_, first = shape_.vocab_begin] { return cuda::embed(step, weight, first, hidden); });
        count_rows(shape_.d, sizeof(Bf16));
        count_rows(shape_.d);
    });
}

void Device::norm_qkv(const float* hidden, const float* norm, const Bf16* wq, const Bf16* wk, const Bf16* wv, float* q,
                      float* k, float* v) {
    perform([=, this] {
        const Norm scale{norm, shape_.epsilon};
        const Weight q_proj{wq, q_columns(), shape_.d};
        const Weight k_proj{wk, kv_columns(), shape_.d};
        const Weight v_proj{wv, kv_columns(), shape_.d};
        if (few_rows()) {
            kernels(1, "norm_qkv",
                    [=, step = step_] { return cuda::norm_qkv(step, hidden, scale, q_proj, k_proj, v_proj, q, k, v); });
            for (const Weight& w : {q_proj, k_proj, v_proj}) count(w);
            count_rows(shape_.d + q_columns() + 2 * kv_columns());
        } else {
            kernels(1, "rms_norm", [=, step = step_, columns = shape_.d, out = rounded()] {
                return cuda::rms_norm(step, hidden, scale, columns, out);
            });
            count_rows(shape_.d);
            count_rows(shape_.d, sizeof(Bf16));
            gemm(rounded(), q_proj, step_.bucket.rows, false, q);
            gemm(rounded(), k_proj, step_.bucket.rows, false, k);
            gemm(rounded(), v_proj, step_.bucket.rows, false, v);
        }
    });
}

void Device::qk_norm_rope_append(float* q, const float* k, const float* v, const float* q_norm, const float* k_norm,
                                 int64_t layer) {
    perform([=, this] {
        const Norm q_scale{q_norm, shape_.epsilon};
        const Norm k_scale{k_norm, shape_.epsilon};
        kernels(1, "qk_norm_rope_append", [=, step = step_, kv = kv_, heads = heads_] {
            return cuda::qk_norm_rope_append(step, kv, heads, layer, q_scale, k_scale, q, k, v);
        });
        count_rows(2 * q_columns() + 2 * kv_columns());
    });
}

void Device::attention(const float* q, float* out, int64_t layer) {
    perform([=, this] {
        const Bucket& bucket = step_.bucket;
        kernels((bucket.single_rows ? 2 : 0) + (bucket.many_rows ? 1 : 0), "attention",
                [=, step = step_, kv = kv_, heads = heads_, workspace = attention_workspace_.data()] {
                    return cuda::attention(step, kv, heads, layer, q, workspace, out);
                });
        count_rows(2 * q_columns());
        traffic_.move(2, static_cast<int64_t>(attention_workspace_bytes(bucket, heads_, kv_.type)));
    });
}

void Device::o_residual(const float* attn, const Bf16* wo, bool residual, float* hidden) {
    project(attn, {wo, shape_.d, q_columns()}, residual, hidden, "o_residual");
}

void Device::down_residual(const float* act, const Bf16* down, bool residual, float* hidden) {
    project(act, {down, shape_.d, shape_.mlp}, residual, hidden, "down_residual");
}

void Device::project(const float* x, const Weight& w, bool residual, float* hidden, const char* what) {
    perform([=, this] {
        if (few_rows()) {
            kernels(1, what, [=, step = step_] { return cuda::project_residual(step, x, w, residual, hidden); });
            count(w);
            count_rows(w.columns + (residual ? 2 : 1) * w.rows);
        } else {
            kernels(1, "to_bf16",
                    [=, step = step_, out = rounded()] { return cuda::to_bf16(step, x, w.columns, out); });
            count_rows(w.columns);
            count_rows(w.columns, sizeof(Bf16));
            gemm(rounded(), w, step_.bucket.rows, residual, hidden);
        }
    });
}

void Device::norm_gate_up_silu(const float* hidden, const float* norm, const Bf16* gate, const Bf16* up, float* act) {
    perform([=, this] {
        const Norm scale{norm, shape_.epsilon};
        const Weight gate_proj{gate, shape_.mlp, shape_.d};
        const Weight up_proj{up, shape_.mlp, shape_.d};
        if (few_rows()) {
            kernels(1, "norm_gate_up_silu", [=, step = step_] {
                return cuda::norm_gate_up_silu(step, hidden, scale, gate_proj, up_proj, act);
            });
            count(gate_proj);
            count(up_proj);
            count_rows(shape_.d + shape_.mlp);
        } else {
            kernels(1, "rms_norm", [=, step = step_, columns = shape_.d, out = rounded()] {
                return cuda::rms_norm(step, hidden, scale, columns, out);
            });
            count_rows(shape_.d);
            count_rows(shape_.d, sizeof(Bf16));
            auto* up_out = reinterpret_cast<float*>(up_.data());
            gemm(rounded(), gate_proj, step_.bucket.rows, false, act);
            gemm(rounded(), up_proj, step_.bucket.rows, false, up_out);
            kernels(1, "silu_mul", [=, step = step_, columns = shape_.mlp] {
                return cuda::silu_mul(step, act, up_out, columns, act);
            });
            count_rows(3 * shape_.mlp);
        }
    });
}

void Device::all_reduce_sum(float* hidden) {
    perform([=, this] {
        nccl_->all_reduce_sum(hidden, static_cast<size_t>(step_.bucket.rows * shape_.d), stream_.get());
        traffic_.collective();
    });
}

void Device::norm_head(const float* hidden, const float* norm, const Bf16* head, float* logits) {
    wanted_logits_ = logits;
    const int64_t rows = step_.bucket.logit_rows;
    if (rows == 0 || vocab() == 0) return;
    perform([=, this] {
        const Norm scale{norm, shape_.epsilon};
        const Weight weight{head, vocab(), shape_.d};
        if (rows <= kGemvRows) {
            kernels(1, "norm_head", [=, step = step_, out = this->logits(), stride = vocab()] {
                return cuda::norm_head(step, hidden, scale, weight, out, stride);
            });
            count(weight);
            traffic_.move(rows * (shape_.d + vocab()), sizeof(float));
            download_logits(rows);
            return;
        }
        kernels(1, "rms_norm_logit_rows", [=, step = step_, columns = shape_.d, out = rounded()] {
            return cuda::rms_norm_logit_rows(step, hidden, scale, columns, out);
        });
        traffic_.move(rows * shape_.d, sizeof(float) + sizeof(Bf16));
        for (int64_t first = 0; first < rows; first += kHeadRows) {
            if (first > 0) {  // only in a prefill that wants the logits of all its rows
                wait();
                scatter_logits(first - kHeadRows, first);
            }
            const int64_t count = std::min(rows - first, kHeadRows);
            gemm(rounded() + first * shape_.d, weight, count, false, this->logits());
            download_logits(count);
        }
    });
}

void Device::gemm(const Bf16* x, const Weight& w, int64_t rows, bool accumulate, float* y) {
    if (w.columns == 0) {  // a shard without MLP neurons adds nothing
        if (!accumulate)
            check(cudaMemsetAsync(y, 0, static_cast<size_t>(rows * w.rows) * sizeof(float), stream_.get()),
                  "cudaMemsetAsync");
        return;
    }
    gemm_->multiply(x, w, rows, accumulate, y, stream_.get());
    traffic_.launch();
    count(w);
    traffic_.move(rows * w.columns, sizeof(Bf16));
    traffic_.move(rows * w.rows * (accumulate ? 2 : 1), sizeof(float));
}

void Device::download_logits(int64_t rows) {
    const size_t bytes = static_cast<size_t>(rows * vocab()) * sizeof(float);
    check(cudaMemcpyAsync(host_logits_.data(), logits_.data(), bytes, cudaMemcpyDeviceToHost, stream_.get()),
          "the download of logits");
    traffic_.move(rows * vocab(), sizeof(float));
}

// Rows [first, end) of the wanted logits, from the block that was downloaded last.
void Device::scatter_logits(int64_t first, int64_t end) const {
    const auto* from = reinterpret_cast<const float*>(host_logits_.data());
    for (int64_t row = first; row < end; ++row, from += vocab())
        std::copy_n(from, vocab(), wanted_logits_ + row * shape_.dvoc + shape_.vocab_begin);
}

}  // namespace qwen3::cuda
