"""FaceNet for speech (Liu et al. 2021): segments of a corpus, training on their images, embeddings."""
