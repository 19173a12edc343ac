"""The web page: drop recordings on it, play them, and see their scores.

``server`` answers requests, ``view`` turns a recording into what the page shows, ``verdict`` puts it into words, and
``static/`` is the page itself: plain HTML, CSS and JavaScript modules, with no build step and nothing from elsewhere.
"""
