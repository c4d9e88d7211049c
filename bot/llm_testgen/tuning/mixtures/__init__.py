"""Mixtures of LoRA experts in the linear layers of a transformers causal model.

* `building.add_mole` puts trained adapters behind gates (MoLE), `building.add_adamole` adds fresh ones (AdaMoLE);
  `config.MoLEConfig` and `config.AdaMoLEConfig` are their settings.
* Both give a `mixture.Mixture`: the model, what to train in it, the loss to add to the task's, and who did what.
* `storage.save_pretrained` and `storage.from_pretrained` write and read one.

All but `config` needs torch, transformers and peft, which come with the extra ``tune``.
"""
