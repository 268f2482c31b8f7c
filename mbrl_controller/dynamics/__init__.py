# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""The ensemble of neural dynamics models in torch: data, networks, loss, training, export to ONNX."""
