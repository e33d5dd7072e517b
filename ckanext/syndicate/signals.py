"""The four signals of a push, which other extensions connect to; also through ``ISignal``.

They are sent by workers, in the process that pushes. ``before_…`` is sent after all hooks have prepared the payload and
before anything is written, ``after_…`` only if the target took it. An error that a receiver raises fails the push.

==========================  ======================  =======================================================
signal                      sender                  arguments
==========================  ======================  =======================================================
``before_syndication``      id of the dataset here  ``profile``; ``details``: dict with ``package`` (as read
                                                    here), ``prepared`` (the payload) and ``topic``
                                                    (``create`` or ``update``); ``params``: ``{"id": …}``
``after_syndication``       id of the dataset here  ``profile``; ``remote``: the dataset as the target
                                                    answered; ``params``: ``{"id": …}``
``before_group_syndication``  id of the group here  ``profile``; ``details``: the payload
``after_group_syndication``   id of the group here  ``profile``; ``remote``: the group as the target answered
==========================  ======================  =======================================================

``group`` means organizations, too. ``profile`` is a :class:`~ckanext.syndicate.types.Profile`.
"""

from __future__ import annotations

import ckan.plugins.toolkit as tk

before_syndication = tk.signals.ckanext.signal("syndicate:before_syndication")
after_syndication = tk.signals.ckanext.signal("syndicate:after_syndication")
before_group_syndication = tk.signals.ckanext.signal("syndicate:before_group_syndication")
after_group_syndication = tk.signals.ckanext.signal("syndicate:after_group_syndication")
