"""Fisher's squared gradients are those that differentiating text by text and class by class gives."""

import copy

import torch
import transformers

import bertprune as bp
from bertprune.data.held_back import Batches, given_batches
from bertprune.data.outputs import output_of
from bertprune.model.families import layers
from bertprune.model.matching import find_targets
from bertprune.pruning.decide import decide
from bertprune.pruning.gradients import gradients
from bertprune.pruning.walk import Walk
from tests.model.tiny_families import KNOWN, SMALL, build
from tests.pruning.test_calibrated import ENCODER, texts


def naive_fisher(model, batches, module, groups):
    """Differentiate towards a factor on each group of a layer's inputs, text by text and class by class."""
    total = torch.zeros(len(groups), dtype=torch.float64)
    for batch in batches:
        for row in range(len(batch["input_ids"])):
            text = {key: value[row : row + 1] for key, value in batch.items()}
            factor = torch.ones(len(groups), requires_grad=True)

            def scale(layer, args, factor=factor):
                mask = torch.ones(args[0].shape[-1])
                for number, columns in enumerate(groups):
                    mask = mask.index_put((columns,), factor[number].expand(len(columns)))
                return (args[0] * mask,)

            handle = module.register_forward_pre_hook(scale)
            logits = model(**text).logits.log_softmax(-1)[0]
            handle.remove()
            for number in range(len(logits)):
                (slope,) = torch.autograd.grad(logits[number], factor, retain_graph=True)
                total += logits[number].exp().detach() * slope.double() ** 2
    return total


def test_fisher_is_the_expected_squared_gradient_of_each_text():
    config = transformers.BertConfig(**KNOWN["bert"][2], num_labels=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.BertForSequenceClassification(config).eval()
    batches = given_batches(texts())
    step = bp.Step(method="fisher", granularity="head", count=1, scope="global")
    decision = decide(model, bp.Recipe(steps=[step]), batches=batches)
    expected = []
    for layer in model.bert.encoder.layer:
        groups = torch.arange(32).view(4, 8)
        expected.append(naive_fisher(model, batches.used, layer.attention.output.dense, groups))
    lowest = int(torch.cat(expected).argmin())
    name = f"bert.encoder.layer.{lowest // 4}.attention.output.dense.weight"
    gone = (~decision.masks[name]).all(0).nonzero().flatten().tolist()
    assert gone == list(range(lowest % 4 * 8, lowest % 4 * 8 + 8))


def test_fisher_of_a_model_of_tokens_draws_a_class_for_each():
    config = transformers.BertConfig(**KNOWN["bert"][2], num_labels=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.BertForTokenClassification(config).eval()
    batches, output = given_batches(texts()), output_of(model)
    module = model.bert.encoder.layer[0].intermediate.dense
    frozen, drawn = copy.deepcopy(model).requires_grad_(False), torch.Generator().manual_seed(5)
    same = frozen.bert.encoder.layer[0].intermediate.dense
    found = gradients(frozen, batches, output, [same], "entries", torch.Generator().manual_seed(5))[same].squared
    expected = torch.zeros_like(module.weight)
    for batch in batches.used:
        rows = output.rows(model, batch)
        labels = torch.multinomial(rows.detach().exp(), 1, generator=drawn)
        text = (batch["attention_mask"] != 0).nonzero()[:, 0]
        for number in range(len(batch["input_ids"])):
            chosen = rows.gather(1, labels)[text == number].sum()
            expected += torch.autograd.grad(chosen, module.weight, retain_graph=True)[0] ** 2
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-9)


CLASSIFIERS = {
    "bert": "BertForSequenceClassification",
    "albert-groups": "AlbertForSequenceClassification",
    "deberta": "DebertaForSequenceClassification",
    "deberta-v3": "DebertaV2ForSequenceClassification",
}


def test_a_texts_gradient_is_the_sum_over_all_calls_of_a_layer(subtests):
    """ALBERT calls one layer many times, and DeBERTa's projections read relative positions that all texts share."""
    for name in CLASSIFIERS:
        with subtests.test(name):
            model = build(CLASSIFIERS[name], KNOWN[name][1], KNOWN[name][2] | {"num_labels": 3})
            batches, output = given_batches(texts(count=3)), output_of(model)
            twin = copy.deepcopy(model).requires_grad_(False)
            targets = find_targets(model, ENCODER, frozenset())
            paths = list(dict.fromkeys(target.owners[0].path for target in targets))
            modules = {path: twin.get_submodule(path) for path in paths}
            found = gradients(twin, batches, output, list(modules.values()), "entries", torch.Generator())
            weights = [model.get_submodule(path).weight for path in paths]
            expected = [torch.zeros_like(weight) for weight in weights]
            for batch in batches.used:
                for number in range(len(batch["input_ids"])):
                    (row,) = output.rows(model, {key: value[number : number + 1] for key, value in batch.items()})
                    for answer in row:
                        slopes = torch.autograd.grad(answer, weights, retain_graph=True)
                        for total, slope in zip(expected, slopes, strict=True):
                            total += answer.exp().detach() * slope**2
            for path, squared in zip(paths, expected, strict=True):
                assert torch.allclose(found[modules[path]].squared, squared, rtol=1e-3, atol=1e-9)


def test_gradients_are_the_same_from_where_a_walk_is(subtests):
    for name in ["bert", "albert-groups", "deberta", "mpnet", "modernbert", "t5"]:
        with subtests.test(name):
            model = build(*KNOWN[name]).requires_grad_(False)
            number, (_, layer) = max(layers(model).items())
            batches, output = given_batches(texts()), output_of(model)
            modules = [module for module in layer.modules() if isinstance(module, torch.nn.Linear)]
            walk = Walk(model, batches, output)
            walk.go_to(number)
            found, expected = (
                gradients(model, batches, output, modules, "entries", torch.Generator().manual_seed(0), at)
                for at in (walk, None)
            )
            assert all(torch.allclose(found[module].squared, expected[module].squared, rtol=1e-4) for module in modules)
            assert any(one.squared.any() for one in expected.values())


def test_what_no_answer_depends_on_has_no_gradient():
    model = build("BertModel", "BertConfig", SMALL).requires_grad_(False)
    module = model.pooler.dense
    found = gradients(model, given_batches(texts()), output_of(model), [module], "entries", torch.Generator())[module]
    assert not (found.squared.any() or found.columns.any() or found.rows.any())


def test_the_answers_of_as_many_tokens_as_texts_are_told_from_those_of_texts():
    config = transformers.BertConfig(**SMALL, num_labels=3)
    model = transformers.BertForTokenClassification(config).eval().requires_grad_(False)
    ids = torch.randint(3, 97, (64, 10), generator=torch.Generator().manual_seed(0))
    batches = Batches([{"input_ids": ids, "attention_mask": torch.ones_like(ids)}], [False])
    module, drawn = model.bert.encoder.layer[0].output.dense, torch.Generator().manual_seed(0)
    gradients(model, batches, output_of(model), [module], "columns", drawn)
    assert not torch.equal(drawn.get_state(), torch.Generator().manual_seed(0).get_state())


def test_long_texts_go_through_in_parts_that_give_the_same():
    model = build("BertForSequenceClassification", "BertConfig", SMALL | {"max_position_embeddings": 512})
    model.requires_grad_(False)
    module, output, sizes = model.bert.encoder.layer[0].output.dense, output_of(model), []
    module.register_forward_pre_hook(lambda module, args: sizes.append(args[0].shape[:2].numel()))
    ids = torch.randint(3, 97, (8, 400), generator=torch.Generator().manual_seed(0))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    alone = [{key: value[number : number + 1] for key, value in batch.items()} for number in range(8)]
    found = [
        gradients(model, Batches(used, [False] * len(used)), output, [module], "entries", torch.Generator())[module]
        for used in ([batch], alone)
    ]
    assert max(sizes) < ids.numel()
    assert torch.allclose(found[0].squared, found[1].squared, rtol=1e-4, atol=1e-12)
    assert found[0].columns.shape == found[1].columns.shape
