"""Small classifiers of texts (prompt injection, toxicity) with their weights and model cards."""

from guardrails.classifiers.model import NAMES as NAMES
from guardrails.classifiers.model import Classifier as Classifier
from guardrails.classifiers.model import load as load
