"""What keeps the event loop responsive.

Programs run in processes of their own (`child`, started through `beside`), the garbage collector rests and threads give
way (`resting`), and memory goes back to the system (`heap`). Nothing here knows what the guard does.
"""
