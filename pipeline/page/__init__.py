"""Web page: drop recordings on it, play them, and see their scores.

``server`` answers requests, ``view`` makes the data that the page shows of a recording, ``verdict`` puts it into words,
and ``static/`` is the page: plain HTML, CSS and JavaScript modules, without a build step or files from elsewhere.
"""
