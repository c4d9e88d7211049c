"""Training: LoRA adapters and mixtures of them, with the loss on the answers alone, and runs that can go on exactly.

* `settings` says how it is trained, `records` on what; `rendering` makes tokens of it and `batches` batches.
* `models` loads what is adapted, `subjects` adapts it and saves what was learned; `sizes` counts what that adds.
* `trainer` is transformers' trainer with our loss, `watching` what stops it, saves and tells; `runs` is the folder.
* `running` puts them together, `merging` puts an adapter into its model's weights, `commands` is what is typed.
"""
