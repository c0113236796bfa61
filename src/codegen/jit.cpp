// SPDX-License-Identifier: Apache-2.0
// Compiles kernels with LLVM: a module for each, modules in parallel, objects linked by ORC into
// one library. Objects come from the disk cache where it has them.
#include <llvm/Bitcode/BitcodeWriter.h>
#include <llvm/Config/llvm-config.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/SmallVectorMemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>
#include <llvm/Transforms/Utils/Mem2Reg.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "base/check.h"
#include "codegen/emit_math.h"
#include "codegen/emit_scalar.h"
#include "codegen/emitter.h"
#include "codegen/loop_kernel.h"
#include "codegen/simplify.h"
#include "ops/counts.h"

namespace tessera::codegen {
namespace {

// What LLVM reports as failed: our defect.
template <typename T>
T must(llvm::Expected<T> value) {
  if (!value) TESSERA_CHECK(false, "LLVM: {}", llvm::toString(value.takeError()));
  return std::move(*value);
}
void must(llvm::Error error) {
  if (error) TESSERA_CHECK(false, "LLVM: {}", llvm::toString(std::move(error)));
}

llvm::orc::JITTargetMachineBuilder host_machine() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
  });
  auto builder = llvm::orc::JITTargetMachineBuilder::detectHost();
  if (!builder) {
    fail_user(ErrorKind::missing_resource, "no native code generator: {}",
              llvm::toString(builder.takeError()));
  }
  builder->setCodeGenOptLevel(llvm::CodeGenOptLevel::Default);
  return std::move(*builder);
}

// One kernel to be compiled, of loops or by an emitter of its own.
struct Job {
  const ir::Meaning* meaning = nullptr;
  const EmittedKernel* emitted = nullptr;
  std::string name;
  LoopKernel kernel;
};

// Changes with optimize() and what else happens between the LLVM code and the object.
constexpr int64_t pipeline_version = 1;

bool is_empty(const ir::Meaning& meaning) {
  return element_count(meaning.output_type(0).concrete_shape()).value_or(0) == 0;
}

void optimize(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::PassBuilder builder(&machine);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::PromotePass());
  passes.addPass(llvm::EarlyCSEPass());
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  for (llvm::Function& f : module)
    if (!f.isDeclaration()) passes.run(f, functions);
}

std::string text_of(const llvm::Module& module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream, nullptr);
  return text;
}

// Everything that an object depends on.
Hash128 key_of(const llvm::Module& module, const llvm::TargetMachine& machine) {
  llvm::SmallVector<char, 0> code;
  llvm::raw_svector_ostream stream(code);
  llvm::WriteBitcodeToFile(module, stream);
  Hasher hasher;
  hasher.add(pipeline_version).add(std::string_view(LLVM_VERSION_STRING));
  hasher.add(machine.getTargetTriple().str()).add(std::string_view(machine.getTargetCPU()));
  hasher.add(std::string_view(machine.getTargetFeatureString()));
  hasher.add(std::string_view(code.data(), code.size()));
  return hasher.finish();
}

// The object file of a module, compiled or from the cache.
std::unique_ptr<llvm::MemoryBuffer> to_object(llvm::Module& module, llvm::TargetMachine& machine,
                                              const Hash128& key, const JitOptions& options) {
  if (options.cache) {
    if (const auto found = options.cache->load(key)) {
      const auto* data = reinterpret_cast<const char*>(found->data());
      return llvm::MemoryBuffer::getMemBufferCopy({data, found->size()});
    }
    options.cache->require("a kernel");
  }
  optimize(module, machine);
  if (options.dump) *options.dump += text_of(module);
  llvm::SmallVector<char, 0> object;
  llvm::raw_svector_ostream stream(object);
  llvm::legacy::PassManager codegen;
  TESSERA_CHECK(
      !machine.addPassesToEmitFile(codegen, stream, nullptr, llvm::CodeGenFileType::ObjectFile));
  codegen.run(module);
  if (options.cache)
    options.cache->store(key, std::as_bytes(std::span(object.data(), object.size())));
  return std::make_unique<llvm::SmallVectorMemoryBuffer>(std::move(object), false);
}

void emit_loops(Job& job, int lanes, llvm::IRBuilder<>& builder, llvm::Module& module) {
  const ir::Meaning meaning = with_small_divisions(*job.meaning, lanes);
  LoopNest nest(meaning, lanes);
  Emitter(nest, builder, module).emit("kernel");
  const ops::Counts counts = ops::count(*job.meaning);
  const auto rows = static_cast<double>(nest.rows);
  job.kernel.rows = nest.rows;
  job.kernel.flops_per_row = (counts.flops + counts.transcendental) / rows;
  job.kernel.bytes_per_row = (counts.bytes_read + counts.bytes_written) / rows;
}

void emit_own(Job& job, llvm::IRBuilder<>& builder, llvm::Module& module) {
  job.emitted->emit(builder, module, "kernel");
  job.kernel.rows = job.emitted->rows;
  job.kernel.flops_per_row = job.emitted->flops_per_row;
}

// Emits a job and makes its object file; the job gets the name that the kernel has in it, made of
// its content.
std::unique_ptr<llvm::MemoryBuffer> compile_module(Job& job, llvm::TargetMachine& machine,
                                                   const JitOptions& options) {
  llvm::LLVMContext context;
  llvm::Module module("kernels", context);
  module.setDataLayout(machine.createDataLayout());
  module.setTargetTriple(machine.getTargetTriple().str());
  const bool wide = machine.getTargetFeatureString().contains("+avx512f");
  if (wide) module.addModuleFlag(llvm::Module::Warning, avx512_flag, 1);
  llvm::IRBuilder<> builder(context);
  if (job.meaning) emit_loops(job, wide ? 16 : 8, builder, module);
  else emit_own(job, builder, module);
  for (llvm::Function& f : module) {
    if (f.isDeclaration()) continue;
    f.addFnAttr("prefer-vector-width", wide ? "512" : "256");
    f.addFnAttr("min-legal-vector-width", wide ? "512" : "256");
  }
  std::string problem;
  llvm::raw_string_ostream problems(problem);
  TESSERA_CHECK(!llvm::verifyModule(module, &problems), "invalid LLVM code: {}\n{}", problem,
                text_of(module));
  const Hash128 key = key_of(module, machine);
  job.name = "kernel_" + key.to_string();
  module.getFunction("kernel")->setName(job.name);
  return to_object(module, machine, key, options);
}

}  // namespace

struct Jit::Impl {
  JitOptions options;
  llvm::orc::JITTargetMachineBuilder machine;
  std::unique_ptr<llvm::orc::LLJIT> jit;
  std::set<std::string> linked;  ///< names of kernels
};

Jit::Jit(JitOptions options) : impl_(new Impl{std::move(options), host_machine(), nullptr, {}}) {
  impl_->jit = must(llvm::orc::LLJITBuilder()
                        .setJITTargetMachineBuilder(impl_->machine)
                        .setNumCompileThreads(0)
                        .create());
  auto& library = impl_->jit->getMainJITDylib();
  llvm::orc::SymbolMap symbols;
  for (const ExternalFunction& f : external_functions())
    symbols[impl_->jit->mangleAndIntern(f.name)] = {llvm::orc::ExecutorAddr::fromPtr(f.address),
                                                    llvm::JITSymbolFlags::Exported};
  must(library.define(llvm::orc::absoluteSymbols(std::move(symbols))));
  library.addGenerator(must(llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
      impl_->jit->getDataLayout().getGlobalPrefix())));
}

Jit::~Jit() = default;

VectorUnit host_vector_unit() {
  const auto machine = must(host_machine().createTargetMachine());
  const llvm::StringRef features = machine->getTargetFeatureString();
  if (!features.contains("+avx512f")) return {8, 16};
  return {16, 32, features.contains("+avx512bf16"), features.contains("+avx512vnni"),
          features.contains("+amx-bf16")};
}

std::vector<std::byte> object_for(const EmittedKernel& kernel, const std::string& processor) {
  llvm::orc::JITTargetMachineBuilder builder = host_machine();
  builder.getFeatures() = llvm::SubtargetFeatures();
  builder.setCPU(processor);
  // The emitter asks the features for the width of vectors.
  llvm::orc::JITTargetMachineBuilder with_vectors = builder.addFeatures({"+avx512f"});
  const auto machine = must(with_vectors.createTargetMachine());
  Job job{nullptr, &kernel, {}, {}};
  const auto object = compile_module(job, *machine, {});
  const auto bytes = std::as_bytes(std::span(object->getBufferStart(), object->getBufferSize()));
  return {bytes.begin(), bytes.end()};
}

std::vector<LoopKernel> Jit::compile(std::span<const ir::Meaning* const> meanings) {
  return compile(meanings, {});
}

std::vector<LoopKernel> Jit::compile(std::span<const ir::Meaning* const> meanings,
                                     std::span<const EmittedKernel> emitted) {
  std::vector<Job> jobs;
  std::vector<size_t> job_of(meanings.size() + emitted.size(), SIZE_MAX);
  for (size_t k = 0; k < job_of.size(); ++k) {
    const ir::Meaning* meaning = k < meanings.size() ? meanings[k] : nullptr;
    if (meaning && is_empty(*meaning)) continue;
    job_of[k] = jobs.size();
    jobs.push_back({meaning, meaning ? nullptr : &emitted[k - meanings.size()], {}, {}});
  }
  std::vector<std::unique_ptr<llvm::MemoryBuffer>> objects(jobs.size());
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  const auto work = [&] {
    try {
      const auto machine = must(impl_->machine.createTargetMachine());
      for (size_t k; (k = next.fetch_add(1)) < jobs.size();)
        objects[k] = compile_module(jobs[k], *machine, impl_->options);
    } catch (...) {
      const std::lock_guard lock(mutex);
      error = std::current_exception();
    }
  };
  const size_t threads =
      impl_->options.dump ? 1 : std::min<size_t>(std::max(1, impl_->options.threads), jobs.size());
  std::vector<std::thread> helpers;
  for (size_t t = 1; t < threads; ++t) helpers.emplace_back(work);
  work();
  for (std::thread& t : helpers) t.join();
  if (error) std::rethrow_exception(error);

  for (size_t k = 0; k < jobs.size(); ++k)
    if (impl_->linked.insert(jobs[k].name).second)
      must(impl_->jit->addObjectFile(std::move(objects[k])));
  std::vector<LoopKernel> kernels(job_of.size());
  for (size_t k = 0; k < job_of.size(); ++k) {
    if (job_of[k] == SIZE_MAX) continue;
    kernels[k] = jobs[job_of[k]].kernel;
    kernels[k].run = must(impl_->jit->lookup(jobs[job_of[k]].name)).toPtr<KernelFn>();
  }
  return kernels;
}

}  // namespace tessera::codegen
