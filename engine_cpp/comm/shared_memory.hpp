// Ranks as threads of one process: partial sums are added where they lie.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "comm/communicator.hpp"
#include "threads/spin_wait.hpp"

namespace qwen3 {

// What the ranks of one group share.
class SharedGroup {
public:
    SharedGroup(int64_t size, SpinPolicy policy);

    std::unique_ptr<Communicator> communicator(int64_t rank);

    // A rank that failed releases the others from their barriers; reset once all have left the step.
    void abort();
    void reset();

private:
    friend class SharedMemoryCommunicator;

    void arrive();  // throws Cancelled after abort()

    const int64_t size_;
    const SpinPolicy policy_;
    std::vector<float*> buffers_;  // [size]
    std::atomic<int64_t> arrived_{0};
    std::atomic<uint32_t> generation_{0};
    std::atomic<bool> aborted_{false};
};

}  // namespace qwen3
