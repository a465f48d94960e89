"""The stages of the training, one after the other: tokenizer, masked-language model, sentiment, cards."""

from dataclasses import dataclass, replace
from pathlib import Path

from tokenizers import Tokenizer
from transformers import BertConfig, BertForMaskedLM

from demo_training.card import write_mlm_card, write_sentiment_card
from demo_training.data import Encoded, Review, encode, plan, read_samples, split
from demo_training.export import export
from demo_training.finetune import class_loss, class_measure, classifier
from demo_training.loop import Plan, Stage, train
from demo_training.pretrain import mlm_loss, mlm_measure, mlm_model
from demo_training.shape import demo_config
from demo_training.wordpiece import train_tokenizer


@dataclass(frozen=True)
class Settings:
    """The settings of a training."""

    out: Path
    """Folder for the two checkpoints and the training state."""
    samples: Path | None = None
    """Labelled sentences on which the finished classifier is also evaluated."""
    held: int = 10_000
    """Reviews held back for validation."""
    vocab: int = 8000
    hidden: int = 192
    layers: int = 4
    heads: int = 4
    seed: int = 0
    mlm: Plan = Plan("mlm", epochs=3, batch=64, lr=1e-3, cosine=True)
    sentiment: Plan = Plan("sentiment", epochs=2, batch=64, lr=4e-4)

    @property
    def state(self) -> Path:
        """Folder for what a resumed run needs."""
        return self.out / "state"


@dataclass(frozen=True)
class Corpus:
    """The tokenizer, the reviews it encoded, and the held-back ones as text."""

    tokenizer: Tokenizer
    train: Encoded
    held: Encoded
    held_reviews: list[Review]


def prepare(settings: Settings, reviews: list[Review]) -> Corpus:
    """Split the reviews, train the tokenizer on the training part (or read it back), encode both."""
    kept, held = split(reviews, settings.held, settings.seed)
    path = settings.state / "tokenizer.json"
    if not path.exists():
        train_tokenizer((review.text for review in kept), settings.vocab).save(str(path))
    tokenizer = Tokenizer.from_file(str(path))
    return Corpus(tokenizer, encode(kept, tokenizer), encode(held, tokenizer), held)


def config_for(settings: Settings, corpus: Corpus) -> BertConfig:
    """Build the model's configuration around the trained vocabulary."""
    return demo_config(corpus.tokenizer.get_vocab_size(), settings.hidden, settings.layers, settings.heads)


def mlm_stage(settings: Settings, corpus: Corpus) -> tuple[BertForMaskedLM, Stage]:
    """Build the masked-language stage."""
    model = mlm_model(config_for(settings, corpus), settings.seed)
    return model, Stage(
        plan=settings.mlm,
        model=model,
        path=settings.state / "mlm.pt",
        seed=settings.seed,
        batches=lambda epoch: plan(corpus.train, settings.mlm.batch, settings.seed + epoch),
        loss=lambda indices: mlm_loss(model, corpus.train, indices),
        measure=lambda: mlm_measure(model, corpus.held),
        measured=lambda: export(model, corpus.tokenizer, settings.out / "mlm"),
    )


def sentiment_stage(settings: Settings, corpus: Corpus, pretrained: BertForMaskedLM) -> Stage:
    """Build the fine-tuning stage, which starts from the pre-trained encoder."""
    model = classifier(config_for(settings, corpus), pretrained, settings.seed)
    return Stage(
        plan=settings.sentiment,
        model=model,
        path=settings.state / "sentiment.pt",
        seed=settings.seed,
        batches=lambda epoch: plan(corpus.train, settings.sentiment.batch, settings.seed + 1000 + epoch),
        loss=lambda indices: class_loss(model, corpus.train, indices),
        measure=lambda: class_measure(model, corpus.held),
        measured=lambda: export(model, corpus.tokenizer, settings.out / "sentiment"),
    )


def run_mlm(settings: Settings, corpus: Corpus) -> BertForMaskedLM | None:
    """Run the masked-language stage and write its card; None if it stopped early."""
    model, stage = mlm_stage(settings, corpus)
    if not train(stage):
        return None
    write_mlm_card(settings.out / "mlm", stage, len(corpus.train.ids), len(corpus.held_reviews))
    return model


def run_sentiment(settings: Settings, corpus: Corpus, pretrained: BertForMaskedLM) -> bool:
    """Run the fine-tuning stage and write its card; False if it stopped early."""
    stage = sentiment_stage(settings, corpus, pretrained)
    if not train(stage):
        return False
    samples = read_samples(settings.samples) if settings.samples else []
    write_sentiment_card(settings.out / "sentiment", stage, len(corpus.train.ids), corpus.held_reviews, samples)
    return True


def run(settings: Settings, reviews: list[Review]) -> bool:
    """Run all stages, each from where it stopped; False if one stopped early."""
    settings.state.mkdir(parents=True, exist_ok=True)
    corpus = prepare(settings, reviews)
    pretrained = run_mlm(settings, corpus)
    return pretrained is not None and run_sentiment(settings, corpus, pretrained)


def with_epochs(settings: Settings, mlm: float, sentiment: float) -> Settings:
    """Return the settings with these numbers of epochs."""
    return replace(
        settings,
        mlm=replace(settings.mlm, epochs=mlm),
        sentiment=replace(settings.sentiment, epochs=sentiment),
    )
