"""Siamese networks and FaceNet for speech emotion recognition across corpora, in JAX.

Letters of array axes, used as suffixes of local names (`emb_BxD`) and in field docs (`[B, D]`):

    B  clips in a training batch             Q  query clips (to be classified)
    C  classes (emotions)                    R  evaluation steps: numbers of steps at which a trial is tested
    D  width of the embedding                S  speakers
    F  features of a clip                    T  frames of a clip
    G  trials of a grid                      L  samples of a clip
    M  reference clips (the labelled ones)   P  pairs
    N  clips of a table
"""
