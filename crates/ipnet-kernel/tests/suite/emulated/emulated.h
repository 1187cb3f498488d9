// The words of CUDA that the kernels use, as C++17, and what stands in for a launch.
//
// A program of this header and the kernels reads launches from its standard input and answers each with its buffers (main,
// below). The threads of a block run one after the other, the last one first; those of a kernel that meets a barrier run at once.

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#if FLT_EVAL_METHOD != 0
#error "float must be computed as float"
#endif

#define __device__
#define __global__
#define __align__(n) alignas(n)
// One block runs at a time: what its threads share may be what all of them share.
#define __shared__ static

static inline std::uint32_t __float_as_uint(float x) {
    std::uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}
static inline float __uint_as_float(std::uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}
static inline std::uint32_t __umulhi(std::uint32_t a, std::uint32_t b) {
    return (std::uint32_t)((std::uint64_t)a * b >> 32);
}

struct Dim3 {
    std::uint32_t x, y, z;
};
static thread_local Dim3 blockIdx, threadIdx, blockDim;

[[noreturn]] static void fail(const char* why) {
    std::fprintf(stderr, "emulated launch: %s\n", why);
    std::exit(1);
}

// All threads of a block wait for the last one.
struct Barrier {
    std::mutex mutex;
    std::condition_variable all_here;
    std::uint32_t threads = 0, waiting = 0, round = 0;

    void wait() {
        std::unique_lock<std::mutex> lock(mutex);
        if (threads == 0) fail("a barrier, and threads that run one after the other");
        std::uint32_t here = round;
        if (++waiting == threads) {
            waiting = 0;
            ++round;
            all_here.notify_all();
        } else {
            all_here.wait(lock, [&] { return round != here; });
        }
    }
};
static Barrier block_barrier;
static inline void __syncthreads() { block_barrier.wait(); }

static void take(void* to, std::size_t bytes) {
    if (std::fread(to, 1, bytes, stdin) != bytes) fail("a launch that ends too soon");
}
static std::uint32_t take_u32() {
    std::uint32_t value;
    take(&value, sizeof value);
    return value;
}

// An argument, between two margins of ones: read as a float those are NaN, and what is written there is noticed.
struct Buffer {
    static constexpr std::size_t margin = 64;
    std::size_t bytes;
    std::vector<unsigned char> memory;

    Buffer() : bytes(take_u32()), memory(bytes + 2 * margin + 16, 0xff) { take(start(), bytes); }
    unsigned char* start() {
        auto at = (std::uintptr_t)memory.data() + margin;
        return (unsigned char*)((at + 15) / 16 * 16);
    }
    void check() {
        unsigned char *from = memory.data(), *first = start(), *last = first + bytes;
        auto ones = [](unsigned char* a, unsigned char* b) {
            return std::all_of(a, b, [](unsigned char byte) { return byte == 0xff; });
        };
        if (!ones(from, first) || !ones(last, from + memory.size())) fail("something written outside of a buffer");
    }
};

struct Launch {
    std::uint32_t blocks[2], threads;
    bool at_once;
    std::vector<Buffer> buffers;

    Launch() {
        blocks[0] = take_u32();
        blocks[1] = take_u32();
        threads = take_u32();
        at_once = take_u32() != 0;
        std::uint32_t count = take_u32();
        for (std::uint32_t i = 0; i < count; ++i) buffers.emplace_back();
    }

    // A pointer to the buffer, null to an empty one, or its content.
    template <class T> T argument(std::size_t i) {
        Buffer& buffer = buffers[i];
        if constexpr (std::is_pointer_v<T>) {
            return buffer.bytes ? (T)buffer.start() : nullptr;
        } else {
            if (sizeof(T) != buffer.bytes) fail("an argument of another size than the host's");
            T value;
            std::memcpy((void*)&value, buffer.start(), sizeof value);
            return value;
        }
    }

    using Kernel = void (*)();

    // Every thread of every block; `call` knows what arguments the kernel takes.
    void run(void (*call)(Launch&, Kernel), Kernel kernel) {
        for (std::uint32_t y = 0; y < blocks[1]; ++y)
            for (std::uint32_t x = 0; x < blocks[0]; ++x) {
                auto thread = [=](std::uint32_t i) {
                    blockIdx = {x, y, 0};
                    blockDim = {threads, 1, 1};
                    threadIdx = {i, 0, 0};
                    call(*this, kernel);
                };
                if (!at_once) {
                    for (std::uint32_t i = threads; i-- > 0;) thread(i);
                    continue;
                }
                block_barrier.threads = threads;
                std::vector<std::thread> running;
                for (std::uint32_t i = 0; i < threads; ++i) running.emplace_back(thread, i);
                for (auto& one : running) one.join();
                block_barrier.threads = 0;
            }
        for (Buffer& buffer : buffers) buffer.check();
    }

    template <class... A, std::size_t... I> void start(void (*kernel)(A...), std::index_sequence<I...>) {
        if (buffers.size() != sizeof...(A)) fail("a wrong number of arguments");
        run([](Launch& launch, Kernel kernel) { ((void (*)(A...))kernel)(launch.argument<A>(I)...); }, (Kernel)kernel);
    }
    template <class... A> void start(void (*kernel)(A...)) { start(kernel, std::index_sequence_for<A...>()); }
};

// Defined behind the kernels: the kernel `name` of variant number `variant`.
static void start(std::uint32_t variant, const char* name, Launch& launch);

int main() {
    std::uint32_t variant;
    while (std::fread(&variant, 1, sizeof variant, stdin) == sizeof variant) {
        char name[32] = {};
        take(name, sizeof name - 1);
        Launch launch;
        start(variant, name, launch);
        for (Buffer& buffer : launch.buffers) std::fwrite(buffer.start(), 1, buffer.bytes, stdout);
        std::fflush(stdout);
    }
    return 0;
}
