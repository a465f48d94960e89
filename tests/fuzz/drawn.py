"""Models and steps that the fuzz tests draw."""

from hypothesis import strategies as st

import bertprune as bp

MODELS = st.sampled_from(
    [
        ("BertForMaskedLM", {}),
        ("BertForMaskedLM", {"tie_word_embeddings": False}),
        ("RobertaForMaskedLM", {}),
        ("DistilBertForMaskedLM", {}),
        ("DistilBertModel", {}),
    ]
)
SELECTIONS = st.sampled_from(
    [
        bp.Selection(types="Linear"),
        bp.Selection(types="Embedding"),
        bp.Selection(roles=["attention.query", "ffn.output"]),
        bp.Selection(include="*word_embeddings"),
        bp.Selection(layers=[1]),
    ]
)
ELEMENTS = st.builds(
    bp.Step,
    method=st.sampled_from(["l1_unstructured", "random_unstructured"]),
    fraction=st.sampled_from([0.1, 0.5, 0.9]),
    select=SELECTIONS,
)
EVERYWHERE = st.builds(
    bp.Step, method=st.just("l1_unstructured"), scope=st.just("global"), count=st.integers(1, 40), select=SELECTIONS
)
ROWS = st.builds(
    bp.Step,
    method=st.sampled_from(["ln_structured", "random_structured"]),
    fraction=st.sampled_from([0.1, 0.5]),
    options=st.sampled_from([{"dim": 0}, {"dim": 1}]),
    select=SELECTIONS,
)
COUPLED = st.builds(
    bp.Step,
    method=st.just("magnitude"),
    granularity=st.sampled_from(["neuron", "head"]),
    fraction=st.sampled_from([0.5, 1.0]),
    select=st.sampled_from([bp.Selection(), bp.Selection(layers=[1])]),
)
STEPS = ELEMENTS | EVERYWHERE | ROWS | COUPLED
TORCH = st.sampled_from(["l1", "random"])
FORMS = st.sampled_from(["baked", "masked"])
