"""The networks. All return logits (N, classes, H, W); the sigmoid or softmax belongs to the loss and the prediction."""
