"""Pictures of a trained net and of what it answers.

`steps` and `measured` compute what is shown, the modules named after pictures draw it, and `canvas` is the only one
that knows where matplotlib is and how a file is written. matplotlib is imported when a picture is drawn, not before.
"""
