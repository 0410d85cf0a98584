//! Shader modules and pipelines: compiled once a device, kept, found by their text.

use std::sync::Arc;

use wgpu::{
    BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry, BindingType, BufferBindingType, BufferSize,
    ComputePipeline, ComputePipelineDescriptor, Device, PipelineCompilationOptions, PipelineLayout,
    PipelineLayoutDescriptor, ShaderModule, ShaderModuleDescriptor, ShaderRuntimeChecks, ShaderSource, ShaderStages,
};

use crate::device::DeviceError;
use crate::device::gpu::faults::Loss;
use crate::kernels::{GpuWork, Shader};

/// The size of a dispatch's parameters.
pub(super) const PARAMS_BYTES: u64 = 64;

/// naga recurses over expressions: a stack that no expression of a bounded kernel exhausts.
const COMPILER_STACK_BYTES: usize = 64 << 20;

#[derive(Debug)]
struct Compiled {
    source: Arc<str>,
    trusted: bool,
    module: ShaderModule,
    pipelines: Vec<(String, ComputePipeline)>,
}

/// The modules of one device.
#[derive(Debug)]
pub(super) struct Modules {
    /// The four bindings of every kernel.
    pub bindings: BindGroupLayout,
    layout: PipelineLayout,
    compiled: Vec<Compiled>,
}

impl Modules {
    pub fn new(device: &Device) -> Self {
        let entry = |binding, ty, has_dynamic_offset, min_binding_size| BindGroupLayoutEntry {
            binding,
            visibility: ShaderStages::COMPUTE,
            ty: BindingType::Buffer { ty, has_dynamic_offset, min_binding_size },
            count: None,
        };
        let bindings = device.create_bind_group_layout(&BindGroupLayoutDescriptor {
            label: None,
            entries: &[
                entry(0, BufferBindingType::Storage { read_only: true }, false, None),
                entry(1, BufferBindingType::Storage { read_only: false }, false, None),
                entry(2, BufferBindingType::Storage { read_only: true }, false, None),
                entry(3, BufferBindingType::Uniform, true, BufferSize::new(PARAMS_BYTES)),
            ],
        });
        let layout = device.create_pipeline_layout(&PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&bindings)],
            immediate_size: 0,
        });
        Self { bindings, layout, compiled: Vec::new() }
    }

    /// Compiles what `work` needs and is not there yet.
    ///
    /// # Errors
    /// [`DeviceError::Unsupported`], with the compiler's message, where a module is not valid on this device.
    pub fn prepare(&mut self, device: &Device, loss: &Loss, work: &GpuWork) -> Result<(), DeviceError> {
        let trusted = work.is_trusted();
        let entries = work
            .steps()
            .iter()
            .flat_map(|step| step.dispatches.iter().map(|dispatch| (&step.shader, &*dispatch.entry)));
        let missing: Vec<_> = entries.filter(|(shader, entry)| self.get(shader, trusted, entry).is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        on_compiler_stack(loss, || {
            for (shader, entry) in missing {
                // Dispatches share entry points.
                if self.get(shader, trusted, entry).is_none() {
                    self.compile(device, loss, shader, trusted, entry)?;
                }
            }
            Ok(())
        })
    }

    /// The pipeline of an entry point, if it has been compiled.
    pub fn get(&self, shader: &Shader, trusted: bool, entry: &str) -> Option<&ComputePipeline> {
        let compiled = &self.compiled[self.position(shader, trusted)?];
        compiled.pipelines.iter().find(|(name, _)| name == entry).map(|(_, pipeline)| pipeline)
    }

    fn position(&self, shader: &Shader, trusted: bool) -> Option<usize> {
        self.compiled.iter().position(|compiled| {
            compiled.trusted == trusted
                && (Arc::ptr_eq(&compiled.source, &shader.source) || compiled.source == shader.source)
        })
    }

    fn compile(
        &mut self,
        device: &Device,
        loss: &Loss,
        shader: &Shader,
        trusted: bool,
        entry: &str,
    ) -> Result<(), DeviceError> {
        let named = |error| match error {
            DeviceError::Unsupported(message) => {
                DeviceError::Unsupported(format!("shader {}: {message}", shader.label))
            }
            other => other,
        };
        let position = match self.position(shader, trusted) {
            Some(position) => position,
            None => {
                let module = loss.scoped(device, || create_module(device, shader, trusted)).map_err(named)?;
                self.compiled.push(Compiled { source: shader.source.clone(), trusted, module, pipelines: Vec::new() });
                self.compiled.len() - 1
            }
        };
        let compiled = &mut self.compiled[position];
        let pipeline = loss.scoped(device, || {
            device.create_compute_pipeline(&ComputePipelineDescriptor {
                label: Some(&shader.label),
                layout: Some(&self.layout),
                module: &compiled.module,
                entry_point: Some(entry),
                compilation_options: PipelineCompilationOptions::default(),
                cache: None,
            })
        });
        compiled.pipelines.push((entry.to_owned(), pipeline.map_err(named)?));
        Ok(())
    }
}

fn create_module(device: &Device, shader: &Shader, trusted: bool) -> ShaderModule {
    let descriptor =
        ShaderModuleDescriptor { label: Some(&shader.label), source: ShaderSource::Wgsl((&*shader.source).into()) };
    if trusted {
        // SAFETY: only work that this crate made is trusted, and nobody else can change it. Its shaders bound every index
        // and every loop by parameters that the same host code computes as it sizes what they index, whatever the input
        // holds; they divide by nothing that can be zero, and conformance runs them over every edge.
        unsafe { device.create_shader_module_trusted(descriptor, ShaderRuntimeChecks::unchecked()) }
    } else {
        device.create_shader_module(descriptor)
    }
}

/// Runs `what` on a thread with a large stack, and waits for it.
pub(super) fn on_compiler_stack<R: Send>(
    loss: &Loss,
    what: impl FnOnce() -> Result<R, DeviceError> + Send,
) -> Result<R, DeviceError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("shader compiler".into())
            .stack_size(COMPILER_STACK_BYTES)
            .spawn_scoped(scope, || loss.wall(what))
            .map_err(|error| DeviceError::Unsupported(format!("no thread to compile shaders on: {error}")))?;
        thread.join().unwrap_or_else(|_| Err(DeviceError::Lost("the shader compiler's thread died".into())))?
    })
}
