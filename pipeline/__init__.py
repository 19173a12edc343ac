"""Detection of spoofed speech: from a corpus on disk to a registered, served, calibrated detector.

A file here is a command, or one of ``config``, ``cli``, ``errors`` and ``tracking`` that all commands share. Packages
are what commands use, and each imports only packages below it:

page, streaming, serving : the uses of a detector: a web page, live audio, a server
evaluation, registry : what a model is worth, and which one is champion
reporting : figures, tables and pages for people
training, network : fitting, and the Keras network with its front end
scoring : the one path from audio to score, without TensorFlow
corpora, store : readers of corpora, and the Store of decoded audio with its Manifest
metrics, audio, downloads, common : figures of merit, decoding, files from publishers, and files and processes
"""
