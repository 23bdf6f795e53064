//! The built-in architectures: sizes known from papers and libraries, logits against PyTorch, reading off checkpoints.

#[path = "common/mod.rs"]
mod common;

use std::collections::BTreeSet;

use candle_core::DType;
use common::{Case, cases, logits, relative_error};
use relief_models::architecture::{
    Architecture, ArchitectureError, BatchNormMode, InputKind, Role, Shapes, list,
};

fn parse(spec: &str) -> Architecture {
    Architecture::parse(spec).unwrap()
}

/// Entries of all trained tensors; nothing of their size is allocated.
fn parameters(spec: &str, example: &[usize]) -> usize {
    let wanted = parse(spec).wanted(example).unwrap();
    wanted.iter().filter(|w| w.2 == Role::Parameter).map(|w| w.1.iter().product::<usize>()).sum()
}

fn shapes_of(spec: &str, example: &[usize]) -> Shapes {
    parse(spec).wanted(example).unwrap().into_iter().map(|(name, shape, _)| (name, shape)).collect()
}

fn spec_cases() -> Vec<(String, Case)> {
    cases().into_iter().filter(|(name, _)| Architecture::parse(name).is_ok()).collect()
}

#[test]
fn parameter_counts_are_the_published_ones() {
    let (large, small) = ([3, 224, 224], [3, 32, 32]);
    // torchvision's and timm's model lists, the papers, and nanoGPT's log.
    for (spec, example, count) in [
        ("resnet18", &large[..], 11_689_512),
        ("resnet18:stem=cifar,classes=10", &small, 11_173_962),
        ("resnet20", &small, 269_722),
        ("resnet56", &small, 853_018),
        ("wrn-28-10", &small, 36_479_194),
        ("vgg11", &large, 132_863_336),
        ("vgg11_bn", &large, 132_868_840),
        ("vgg16", &large, 138_357_544),
        ("vgg16_bn", &large, 138_365_992),
        ("vit", &large, 5_717_416),
        ("vit:size=small", &large, 22_050_664),
        ("vit:size=base", &large, 86_567_656),
        ("gpt", &[8], 124_439_808),
        ("lenet5", &[1, 28, 28], 61_706),
        ("mlp:widths=64-20-16-10", &[64], 1_806),
    ] {
        assert_eq!(parameters(spec, example), count, "{spec}");
    }
}

#[test]
fn logits_equal_pytorchs() {
    let cases = spec_cases();
    assert_eq!(cases.len(), 32);
    for (spec, case) in cases {
        let architecture = if spec.starts_with("mlp") {
            parse(&spec).infer(&case.shapes()).unwrap()
        } else if spec.starts_with("cnn") && case.input.dims()[1] == 1 {
            parse(&format!("{spec},classes=4"))
        } else {
            parse(&spec)
        };
        let (found, _) = logits(&architecture, &case.tensors, &case.input, BatchNormMode::Eval);
        let error = relative_error(&found, &case.eval);
        assert!(error < 1e-12, "{spec}: {error:e}");
        if let Some(train) = &case.train {
            let (found, _) = logits(&architecture, &case.tensors, &case.input, BatchNormMode::Batch);
            let error = relative_error(&found, train);
            assert!(error < 1e-12, "{spec} with batch statistics: {error:e}");
            assert!(relative_error(&case.eval, train) > 1e-3, "{spec}: the two modes differ");
        }
    }
}

#[test]
fn buffers_are_those_of_batch_norm() {
    let wanted = parse("resnet18").wanted(&[3, 64, 64]).unwrap();
    let buffers: Vec<_> = wanted.iter().filter(|w| w.2 == Role::Buffer).collect();
    assert_eq!(buffers.len(), 2 * 20);
    assert!(buffers.iter().all(|b| b.0.contains(".running_") && b.1.len() == 1));
    assert!(wanted.iter().any(|w| w.0 == "layer2.0.downsample.0.weight" && w.1 == [128, 64, 1, 1]));
    assert!(wanted.is_sorted_by_key(|w| &w.0));
}

#[test]
fn a_checkpoint_tells_its_architecture_and_arguments() {
    for (spec, example, rest) in [
        ("mlp:widths=64-20-16-10", &[64][..], ""),
        ("mlp:widths=64-20-10,bias=false,names=fc1+ln1", &[64], ""),
        ("cnn:channels=4-5-6-7,classes=3", &[3, 32, 32], ""),
        ("cnn:channels=4-5,batch_norm=true,every=1,head=flatten", &[1, 28, 28], ""),
        ("cnn:channels=4-5-6,every=0", &[1, 28, 28], ""),
        ("lenet5:classes=7", &[1, 28, 28], ""),
        ("lenet5", &[3, 32, 32], ""),
        ("resnet18", &[3, 224, 224], ""),
        ("resnet18:stem=cifar,classes=10,names=pytorch-cifar", &[3, 32, 32], ""),
        ("resnet20:classes=100,width=8", &[3, 32, 32], ""),
        ("resnet56:shortcut=B", &[3, 32, 32], ""),
        ("wrn-28-10:classes=100,depth=16,widen=4", &[3, 32, 32], ""),
        ("vgg11:classes=10,width=4", &[3, 224, 224], ""),
        ("vgg11_bn:head=small,classes=10", &[3, 32, 32], ""),
        ("vgg16:head=small,classes=10", &[3, 32, 32], ""),
        ("vgg16_bn:classes=3,width=2", &[1, 32, 32], ""),
        ("vit", &[3, 224, 224], ""),
        ("vit:width=384,depth=7,mlp_ratio=2,patch=4,image=32,classes=10", &[3, 32, 32], ""),
        ("gpt:vocabulary=65,context=256,depth=6,width=384,bias=false", &[256], ""),
        ("vit:width=12,depth=2,heads=3,patch=4,image=12,classes=5", &[3, 12, 12], "heads=3"),
    ] {
        let mut shapes = shapes_of(spec, example);
        let full = parse(spec);
        assert_eq!(full.to_string(), spec);
        assert_eq!(Architecture::parse(&full.arguments()).unwrap(), full);

        let given = format!("{}:{rest}", full.name());
        assert_eq!(parse(&given).infer(&shapes).unwrap(), full, "{spec}");
        if rest.is_empty() {
            assert_eq!(Architecture::fits(&shapes), std::slice::from_ref(&full), "{spec}");
        }
        shapes.insert("something.else".into(), vec![1]);
        assert!(Architecture::fits(&shapes).is_empty(), "{spec} with a tensor too many");
        shapes.remove("something.else");
        shapes.pop_first();
        assert!(!Architecture::fits(&shapes).contains(&full), "{spec} with a tensor too few");
    }
}

#[test]
fn a_checkpoint_with_unknown_heads_still_fits() {
    let shapes = shapes_of("vit:width=12,depth=2,heads=3,patch=4,image=12,classes=5", &[3, 12, 12]);
    let fits = Architecture::fits(&shapes);
    assert_eq!(fits.len(), 1);
    let error = fits[0].wanted(&[3, 12, 12]).unwrap_err().to_string();
    assert_eq!(
        error,
        "`vit`: a width of 12 is no multiple of 64, so the number of heads is unknown: give heads="
    );
}

#[test]
fn given_arguments_win_over_the_checkpoints() {
    let shapes = shapes_of("resnet18:classes=10", &[3, 32, 32]);
    assert_eq!(parse("resnet18:classes=7").infer(&shapes).unwrap().to_string(), "resnet18:classes=7");
}

#[test]
fn tensors_that_are_never_asked_for_are_known() {
    let gpt = parse("gpt:vocabulary=11,context=7,depth=1,width=64");
    let mut shapes = shapes_of(&gpt.to_string(), &[7]);
    shapes.insert("lm_head.weight".into(), vec![11, 64]);
    shapes.insert("transformer.h.0.attn.bias".into(), vec![1, 1, 7, 7]);
    assert_eq!(Architecture::fits(&shapes), std::slice::from_ref(&gpt));
    assert_eq!(gpt.tied("lm_head.weight"), Some("transformer.wte.weight"));
    assert!(gpt.ignores("transformer.h.0.attn.bias") && !gpt.ignores("transformer.h.0.attn.c_attn.bias"));

    let mut shapes = shapes_of("resnet20", &[3, 32, 32]);
    shapes.insert("bn1.num_batches_tracked".into(), vec![]);
    assert_eq!(Architecture::fits(&shapes), [parse("resnet20")]);
    assert!(!parse("resnet20").ignores("lm_head.weight"));
}

#[test]
fn names_of_layers_are_ordered_as_people_do() {
    let spec = format!("mlp:widths=3{},names={}", "-3".repeat(12), {
        let names: Vec<String> = (1..=12).map(|i| format!("fc{i}")).collect();
        names.join("+")
    });
    let shapes = shapes_of(&spec, &[3]);
    assert_eq!(parse("mlp").infer(&shapes).unwrap().to_string(), spec);
    // Where the natural order is not the order of the layers, the names can be given.
    let spec = "mlp:widths=3-4-5-6,names=input+hidden+output";
    let shapes = shapes_of(spec, &[3]);
    assert!(Architecture::fits(&shapes).is_empty());
    assert_eq!(parse("mlp:names=input+hidden+output").infer(&shapes).unwrap().to_string(), spec);
    // Widths that do not chain up are no mlp.
    let mut broken = shapes_of("mlp:widths=3-4-5", &[3]);
    broken.insert("2.weight".into(), vec![5, 6]);
    assert!(Architecture::fits(&broken).is_empty());
}

#[test]
fn short_names_stand_for_arguments() {
    assert_eq!(parse("wrn-16-4").to_string(), "wrn-28-10:depth=16,widen=4");
    assert_eq!(parse("wrn-28-10").to_string(), "wrn-28-10");
    assert_eq!(parse(" vit : size=base , classes=10 ").to_string(), "vit:size=base,classes=10");
}

#[test]
fn what_cannot_be_read_off_a_checkpoint_is_said() {
    let notes = |spec: &str, case: &Case, mode| logits(&parse(spec), &case.tensors, &case.input, mode).1;
    let cases = cases();
    let vgg = &cases["vgg11:width=1,classes=3"];
    assert_eq!(notes("vgg11:width=1,classes=3", vgg, BatchNormMode::Eval), ["dropout is off"]);

    let graph = relief_autodiff::GraphBuilder::new();
    let net = relief_models::architecture::Net::new(&graph, BatchNormMode::Eval);
    parse("vit").build(&net, &graph.input(&[1, 3, 224, 224])).unwrap();
    assert_eq!(
        net.notes(),
        [
            "the number of attention heads cannot be read off a checkpoint: 3 (width / 64) assumed (give heads= otherwise)"
        ]
    );
    parse("mlp:widths=4-3-2").build(&net, &graph.input(&[1, 4])).unwrap();
    assert!(net.notes()[1].contains("relu is assumed"));
    assert!(!net.has_batch_norm());
    parse("resnet20").build(&net, &graph.input(&[1, 3, 8, 8])).unwrap();
    assert!(net.has_batch_norm());
}

#[test]
fn random_parameters_depend_on_seed_and_name_alone() {
    let spread = |t: &candle_core::Tensor| {
        let numbers = t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let n = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / n;
        let variance = numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
        (mean, variance.sqrt(), numbers.iter().fold(0.0f64, |m, x| m.max(x.abs())))
    };
    let wide = parse("mlp:widths=400-100-10").random_parameters(&[400], 3, DType::F64).unwrap();
    let (mean, deviation, largest) = spread(&wide["0.weight"]);
    // Uniform within 1 / 20: standard deviation 1 / (20 sqrt 3); 40000 draws, so four of its standard errors.
    let expected = 0.05 / 3f64.sqrt();
    assert!(mean.abs() < 4.0 * expected / 200.0, "{mean}");
    assert!((deviation / expected - 1.0).abs() < 0.02 && largest < 0.05 && largest > 0.0499);
    assert!(spread(&wide["0.bias"]).2 < 0.05 && spread(&wide["0.bias"]).1 > 0.01);

    // Another network with a tensor of the same name and shape, another seed.
    let deep = parse("mlp:widths=400-100-7-10").random_parameters(&[400], 3, DType::F64).unwrap();
    let values = |t: &candle_core::Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    assert_eq!(values(&wide["0.weight"]), values(&deep["0.weight"]));
    let other = parse("mlp:widths=400-100-10").random_parameters(&[400], 4, DType::F64).unwrap();
    assert_ne!(values(&wide["0.weight"]), values(&other["0.weight"]));

    let resnet = parse("resnet20:width=2").random_parameters(&[3, 8, 8], 0, DType::F32).unwrap();
    assert_eq!(resnet["bn1.weight"].to_vec1::<f32>().unwrap(), [1.0, 1.0]);
    assert_eq!(resnet["bn1.bias"].to_vec1::<f32>().unwrap(), [0.0, 0.0]);
    assert_eq!(resnet["bn1.running_var"].to_vec1::<f32>().unwrap(), [1.0, 1.0]);
    assert_eq!(resnet["bn1.running_mean"].to_vec1::<f32>().unwrap(), [0.0, 0.0]);
}

#[test]
fn mistakes_in_a_spec_are_explained() {
    let all = "mlp, cnn, lenet5, resnet18, resnet20, resnet56, wrn-28-10, vgg11, vgg11_bn, vgg16, vgg16_bn, vit, gpt";
    for (spec, message) in [
        ("resnet19", format!("there is no architecture `resnet19`: did you mean `resnet18`? (one of {all}, or a .toml model file)")),
        ("resnet18:clases=10", "`resnet18` has no argument `clases`: did you mean `classes`? (it has stem, classes, width, names)".into()),
        ("resnet18:stem=cifr", "`resnet18` wants one of imagenet, cifar (perhaps cifar) for `stem`, but got `cifr`".into()),
        ("resnet18:classes=ten", "`resnet18` wants a whole number from 1 to 16777216 for `classes`, but got `ten`".into()),
        ("resnet18:classes=0", "`resnet18` wants a whole number from 1 to 16777216 for `classes`, but got `0`".into()),
        ("resnet18:cifar", "`cifar` is not of the form key=value: write `resnet18:key=value,key=value`".into()),
        ("resnet18:classes=1,classes=2", "`resnet18` gets the argument `classes` twice: leave one out".into()),
        ("mlp:widths=64--10", "`mlp` wants whole numbers joined as in 64-20-10 for `widths`, but got `64--10`".into()),
        ("mlp:names=a++b", "`mlp` wants names joined as in fc1+fc2 for `names`, but got `a++b`".into()),
        ("gpt:bias=no", "`gpt` wants true or false for `bias`, but got `no`".into()),
        ("wrn-16-4:depth=22", "`wrn-28-10` gets the argument `depth` twice: leave one out".into()),
    ] {
        assert_eq!(Architecture::parse(spec).unwrap_err().to_string(), message);
    }
    let missing = Architecture::parse("does-not-exist.toml").unwrap_err();
    assert!(matches!(missing, ArchitectureError::Read { .. }));
    assert!(missing.to_string().starts_with("the model file does-not-exist.toml cannot be read: "));
}

#[test]
fn mistakes_in_shapes_are_explained() {
    for (spec, example, message) in [
        (
            "mlp",
            &[64][..],
            "`mlp` needs the argument `widths`: give `mlp:widths=784-128-10`, or a checkpoint from which it can be read",
        ),
        (
            "mlp:widths=64-10",
            &[1, 7, 7],
            "`mlp` wants examples of 64 entries (its first width), but an example has shape [49]",
        ),
        ("mlp:widths=64", &[64], "`mlp`: `widths` needs at least an input and an output, as in 784-10"),
        ("mlp:widths=6-5-4,names=a", &[6], "`mlp`: `widths` makes 2 layers, but `names` has 1"),
        (
            "lenet5",
            &[64],
            "`lenet5` wants images [channels, height, width] (a model file with `input = [channels, height, width]` \
             folds flat examples), but an example has shape [64]",
        ),
        ("resnet20:width=3", &[3, 32, 32], "`resnet20`: `width` is 3, but must be even"),
        ("wrn-12-2", &[3, 32, 32], "`wrn-28-10`: `depth` is 12, but must be 10, 16, 22, 28, ... (6 n + 4)"),
        (
            "vit:image=32,patch=5",
            &[3, 32, 32],
            "`vit`: an image of 32 pixels does not divide into patches of 5",
        ),
        (
            "vit",
            &[3, 32, 32],
            "`vit` wants images of 224 x 224 pixels (give image= otherwise), but an example has shape [3, 32, 32]",
        ),
        (
            "vit:heads=5",
            &[3, 224, 224],
            "`vit`: a width of 192 does not divide into 5 heads: give another heads=",
        ),
        (
            "gpt:context=8",
            &[9],
            "`gpt` wants sequences [positions] of 1 to 8 tokens, but an example has shape [9]",
        ),
    ] {
        assert_eq!(parse(spec).wanted(example).unwrap_err().to_string(), message);
    }
    // An image that is too small for its pools names the layer.
    let small = parse("vgg11").wanted(&[3, 16, 16]).unwrap_err().to_string();
    assert!(small.starts_with("layer `features.20`: max_pool2d: "), "{small}");
}

#[test]
fn the_list_is_complete_and_its_defaults_are_valid() {
    let entries = list();
    let names: BTreeSet<&str> = entries.iter().map(|e| e.name).collect();
    assert_eq!(names.len(), 13);
    for entry in entries {
        assert!(!entry.description.is_empty() && !entry.names.is_empty());
        for argument in entry.arguments.iter().filter(|a| a.default != "from the checkpoint") {
            parse(&format!("{}:{}={}", entry.name, argument.name, argument.default));
        }
    }
}

#[test]
fn inputs_are_described() {
    assert_eq!(parse("mlp:widths=64-10").input_kind().unwrap(), InputKind::Flat(Some(64)));
    assert!(parse("mlp").input_kind().is_err());
    assert_eq!(
        parse("vit:image=32").input_kind().unwrap(),
        InputKind::Images { channels: None, size: Some([32, 32]) }
    );
    assert_eq!(parse("gpt").input_kind().unwrap(), InputKind::Tokens { vocabulary: 50257, context: 1024 });
}

#[test]
fn defaults_are_spelled_out() {
    let cnn = Architecture::parse("cnn:channels=8-8,classes=3").unwrap();
    let whole = cnn.spelled_out().unwrap().to_string();
    assert_eq!(
        whole,
        "cnn:channels=8-8,activation=relu,batch_norm=false,every=2,pool=max,head=average,classes=3"
    );
    assert_eq!(
        Architecture::parse(&whole).unwrap().wanted(&[1, 8, 8]).unwrap(),
        cnn.wanted(&[1, 8, 8]).unwrap()
    );
}
